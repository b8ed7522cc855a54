"""Tickets (discv5-theory, "Tickets")."""

from __future__ import annotations

import random
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.discover.v5.topics.ticket import TICKET_SIZE, Ticket, TicketError, Tickets, ad_digest
from tests.discover.v5.topics.advertisers import advertiser, topic_of

IP = IPv4Address("20.0.0.1")
DIGEST = bytes(range(32))
WINDOW_S = 10.0
TICKET = Ticket(1000.0, 1200.0, 30_000)
#: The time at which TICKET is due.
DUE = 1230.0


def tickets_of(seed: int) -> Tickets:
    return Tickets(random.Random(seed).randbytes, WINDOW_S)


def test_ticket_is_read_as_it_was_issued() -> None:
    tickets = tickets_of(1)
    data = tickets.seal(TICKET, DIGEST, IP)
    assert len(data) == TICKET_SIZE
    assert tickets.open(data, DIGEST, IP, DUE) == TICKET


@given(st.integers(0, 10**15), st.integers(0, 10**15), st.integers(0, 2**32 - 1))
def test_times_are_kept_to_the_microsecond(first: int, last: int, wait_ms: int) -> None:
    ticket = Ticket(first / 1e6, last / 1e6, wait_ms)
    tickets = tickets_of(1)
    due = ticket.last + wait_ms / 1000
    assert tickets.open(tickets.seal(ticket, DIGEST, IP), DIGEST, IP, due) == ticket


@pytest.mark.parametrize(
    "digest, ip",
    [
        (bytes(32), IP),
        (DIGEST, IPv4Address("20.0.0.2")),
        (DIGEST, IPv6Address(int(IP))),
    ],
    ids=["another ad", "another address", "another family"],
)
def test_ticket_is_valid_for_its_ad_and_address_only(
    digest: bytes, ip: IPv4Address | IPv6Address
) -> None:
    tickets = tickets_of(1)
    data = tickets.seal(TICKET, DIGEST, IP)
    assert tickets.open(data, digest, ip, DUE) is TicketError.INVALID


def test_ticket_of_another_registrar_is_invalid() -> None:
    data = tickets_of(1).seal(TICKET, DIGEST, IP)
    assert tickets_of(2).open(data, DIGEST, IP, DUE) is TicketError.INVALID


@pytest.mark.parametrize("place", range(TICKET_SIZE))
def test_changed_ticket_is_invalid(place: int) -> None:
    tickets = tickets_of(1)
    data = bytearray(tickets.seal(TICKET, DIGEST, IP))
    data[place] ^= 1
    assert tickets.open(bytes(data), DIGEST, IP, DUE) is TicketError.INVALID


@given(st.binary(max_size=2 * TICKET_SIZE))
def test_other_bytes_are_invalid(data: bytes) -> None:
    assert tickets_of(1).open(data, DIGEST, IP, DUE) is TicketError.INVALID


@pytest.mark.parametrize(
    "now, expected",
    [
        (DUE - 1.0, TicketError.EARLY),
        (DUE - 0.031, TicketError.EARLY),
        (DUE - 0.029, TICKET),
        (DUE, TICKET),
        (DUE + WINDOW_S, TICKET),
        (DUE + WINDOW_S + 0.001, TicketError.LATE),
    ],
)
def test_window_is_from_the_end_of_the_wait(now: float, expected: object) -> None:
    # 30 s by a clock that is 1 per mille fast are 29.97 s.
    tickets = tickets_of(1)
    assert tickets.open(tickets.seal(TICKET, DIGEST, IP), DIGEST, IP, now) == expected


def test_short_wait_may_end_a_millisecond_early() -> None:
    tickets = tickets_of(1)
    data = tickets.seal(Ticket(1000.0, 1000.0, 5), DIGEST, IP)
    assert tickets.open(data, DIGEST, IP, 1000.0041) == Ticket(1000.0, 1000.0, 5)
    assert tickets.open(data, DIGEST, IP, 1000.0039) is TicketError.EARLY


def test_nonce_is_never_used_twice() -> None:
    tickets = tickets_of(1)
    sealed = [tickets.seal(TICKET, DIGEST, IP) for _ in range(300)]
    assert len({data[:12] for data in sealed}) == 300


def test_digest_is_of_the_service_and_the_whole_record() -> None:
    old, new = advertiser(1, "20.0.0.1"), advertiser(1, "20.0.0.1", seq=2)
    assert old.record is not None and new.record is not None
    digests = {
        ad_digest(topic_of(1), old.record),
        ad_digest(topic_of(2), old.record),
        ad_digest(topic_of(1), new.record),
    }
    assert len(digests) == 3 and {len(digest) for digest in digests} == {32}
