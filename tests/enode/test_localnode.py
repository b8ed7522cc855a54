"""Our own record: its sequence number, its entries, and the addresses in it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import NamedTuple

import pytest

from p2p.clock import SimulatedClock
from p2p.crypto import PrivateKey
from p2p.enode import LocalNode, NodeDB
from p2p.enode.localnode import SEQ_RESERVE
from p2p.enr import Record
from p2p.errors import ArgumentError, EncodeError
from p2p.netutil import unmap

KEY = PrivateKey.from_bytes(b"\x11" * 32)
T_MS = 1_600_000_000_000


class Now(NamedTuple):
    monotonic: float
    unix: float = 0.0


def local_node(db: NodeDB, start_unix: float = T_MS / 1000) -> LocalNode:
    clock = SimulatedClock(start_unix=start_unix)
    return LocalNode(KEY, db, clock=clock)


@pytest.fixture
def db() -> Iterator[NodeDB]:
    with NodeDB() as db:
        yield db


@pytest.fixture
def local(db: NodeDB) -> LocalNode:
    return local_node(db)


def state(
    local: LocalNode, endpoint: tuple[str, int], hosts: int, now: float, net: int = 1
) -> None:
    """So many hosts, seen over the IP version of the endpoint, say where we are."""
    stated = (ip_address(endpoint[0]), endpoint[1])
    is_ipv4 = unmap(stated[0]).version == 4
    for host in range(hosts):
        from_ip = ip_address(f"20.0.{net}.{host}" if is_ipv4 else f"2a01:{net}:0:{host}::1")
        local.endpoint_statement(from_ip, stated, Now(now))


# The sequence number.


def test_first_sequence_number_is_the_wall_clock_in_milliseconds(local: LocalNode) -> None:
    assert local.record.seq == local.seq == T_MS


def test_record_is_signed_only_when_something_changed(local: LocalNode) -> None:
    local.set("tcp", 30303)
    record = local.record
    local.set("tcp", 30303)
    assert local.record is record
    local.set("tcp", 30304)
    assert (local.record.seq, local.record.tcp) == (record.seq + 1, 30304)


def test_changes_between_two_records_take_one_number(local: LocalNode) -> None:
    first = local.seq
    local.set("tcp", 30303)
    local.set("eth", [[b"\x01", 2]])
    local.delete("tcp")
    assert local.seq == first + 1


def test_change_that_was_taken_back_makes_no_new_record(local: LocalNode) -> None:
    record = local.record
    local.set("tcp", 1)
    local.delete("tcp")
    assert local.record is record


def test_sequence_continues_above_what_is_stored_when_the_clock_is_behind(tmp_path: Path) -> None:
    with NodeDB(tmp_path / "nodes.db") as db:
        before = local_node(db).seq
    with NodeDB(tmp_path / "nodes.db") as db:
        assert local_node(db, start_unix=1000.0).seq > before


def test_published_number_is_always_stored_before(tmp_path: Path) -> None:
    # Without its thread the database stores only what it is told to wait for.
    db = NodeDB(tmp_path / "nodes.db")
    local = local_node(db)
    for number in range(2 * SEQ_RESERVE):
        local.set("number", number)
        assert local.seq <= db.stored_local_seq(local.id)
    assert local.seq == db.stored_local_seq(local.id) == T_MS - 1 + SEQ_RESERVE
    db.set_local_seq(b"\x00" * 32, 1)  # stores what was asked for meanwhile, too
    assert local.seq == T_MS + SEQ_RESERVE
    assert local.record.get("number", int) == 2 * SEQ_RESERVE - 1
    db.close()


def test_numbers_are_reserved_anew_when_half_are_used(tmp_path: Path) -> None:
    with NodeDB(tmp_path / "nodes.db") as db:
        local = local_node(db)
        reserved = db.local_seq(local.id)
        for number in range(SEQ_RESERVE // 2):
            local.set("number", number)
            local.node()
        assert db.local_seq(local.id) == reserved + SEQ_RESERVE // 2


# Entries.


def test_entry_of_any_kind_is_in_the_record(local: LocalNode) -> None:
    local.set("tcp", 30303)
    local.set(b"custom", [b"a", [1, 2]])
    assert local.record.tcp == 30303
    assert local.record.get("custom") == [b"a", [b"\x01", b"\x02"]]
    assert local.node().tcp == 30303


def test_wrong_value_is_refused_and_changes_nothing(local: LocalNode) -> None:
    record = local.record
    with pytest.raises(EncodeError):
        local.set("tcp", 70_000)
    with pytest.raises(EncodeError, match="at most 300"):
        local.set("big", b"x" * 200)
    assert local.record is record


def test_largest_record_still_takes_both_addresses(local: LocalNode) -> None:
    local.set("tcp", 65535)
    size = max(size for size in range(150) if fits(local, size))
    local.set_static_ip("20.1.2.3")
    local.set_static_ip("2001:db8::1")
    local.set_fallback_udp(65535)
    state(local, ("2001:db8::2", 65534), 10, 1.0)
    assert len(local.record.to_rlp()) <= 300
    assert local.record.get("big", bytes) == b"x" * size


def fits(local: LocalNode, size: int) -> bool:
    try:
        local.set("big", b"x" * size)
    except EncodeError:
        return False
    return True


@pytest.mark.parametrize("key", ["ip", "ip6", "udp", "udp6", "id", "secp256k1", b"ip"])
def test_keys_with_ways_of_their_own_are_refused(local: LocalNode, key: str | bytes) -> None:
    with pytest.raises(ArgumentError):
        local.set(key, 1)
    with pytest.raises(ArgumentError):
        local.delete(key)


def test_deleting_what_is_not_there_does_nothing(local: LocalNode) -> None:
    record = local.record
    local.delete("eth")
    assert local.record is record


# Addresses.


def test_address_is_unknown_at_first(local: LocalNode) -> None:
    assert local.endpoint == (None, 0, 0)
    assert local.record.ip is None


def test_fallback_serves_until_others_agree(local: LocalNode) -> None:
    local.set("tcp", 30303)
    local.set_fallback_ip("127.0.0.1")
    local.set_fallback_udp(30301)
    assert local.endpoint == (ip_address("127.0.0.1"), 30301, 30303)
    state(local, ("20.9.9.9", 999), 9, now=1.0)
    assert local.endpoint.udp == 30301
    state(local, ("20.9.9.9", 999), 10, now=2.0)
    assert local.endpoint == (ip_address("20.9.9.9"), 999, 30303)


def test_statements_count_for_five_minutes(local: LocalNode) -> None:
    state(local, ("20.9.9.9", 999), 9, now=0.0)
    state(local, ("20.9.9.9", 999), 9, now=301.0, net=2)
    assert local.record.ip is None
    state(local, ("20.9.9.9", 999), 1, now=302.0, net=3)
    assert str(local.record.ip) == "20.9.9.9"


def test_majority_is_believed(local: LocalNode) -> None:
    state(local, ("20.9.9.9", 999), 12, now=0.0)
    state(local, ("20.6.6.6", 666), 11, now=1.0, net=2)
    assert local.endpoint.ip == ip_address("20.9.9.9")


def test_one_ipv6_network_does_not_decide_which_address_is_published(local: LocalNode) -> None:
    state(local, ("20.9.9.9", 999), 10, now=0.0)
    state(local, ("2001:db8::9", 999), 10, now=0.0)
    for number in range(50):
        liar = ip_address((0x2A01_04F8_0001_0002 << 64) + number)
        local.endpoint_statement(liar, (ip_address("20.6.6.6"), 666), Now(1.0))
        local.endpoint_statement(liar, (ip_address("2001:db8::6"), 666), Now(1.0))
    assert (str(local.record.ip), str(local.record.ip6)) == ("20.9.9.9", "2001:db8::9")


def test_static_address_is_believed_whatever_others_say(local: LocalNode) -> None:
    local.set_fallback_udp(30301)
    state(local, ("20.9.9.9", 999), 10, now=0.0)
    local.set_static_ip("20.1.1.1")
    state(local, ("20.9.9.8", 999), 20, now=1.0, net=2)
    assert local.endpoint == (ip_address("20.1.1.1"), 30301, 0)
    local.clear_static_ip()
    assert local.endpoint.udp == 999


def test_ipv4_and_ipv6_are_found_apart(local: LocalNode) -> None:
    local.set_fallback_udp(30301)
    local.set_fallback_ip("2001:db8::1")
    state(local, ("20.9.9.9", 999), 10, now=0.0)
    record = local.record
    assert (str(record.ip), record.udp) == ("20.9.9.9", 999)
    assert (str(record.ip6), record.udp6) == ("2001:db8::1", 30301)
    state(local, ("2001:db8::2", 999), 10, now=1.0)
    assert (str(local.record.ip6), local.record.udp6) == ("2001:db8::2", None)


def test_loopback_guess_gives_way_to_a_known_address_of_the_other_family(local: LocalNode) -> None:
    local.set_fallback_ip("127.0.0.1")
    local.set_fallback_udp(30301)
    local.set("tcp", 30302)
    state(local, ("2a01::9", 999), 10, now=0.0)
    node = local.node()
    assert (str(node.ip), node.udp, node.tcp) == ("2a01::9", 999, 30302)
    assert local.record.ip is None
    assert len(node.endpoints) == 1
    state(local, ("20.9.9.9", 999), 10, now=1.0)
    assert (str(local.record.ip), str(local.record.ip6)) == ("20.9.9.9", "2a01::9")


@pytest.mark.parametrize(
    ("fallback", "known", "ips"),
    [
        ("127.0.0.1", "::1", ("127.0.0.1", "::1")),
        ("192.168.1.7", "2a01::9", ("192.168.1.7", "2a01::9")),
        ("::1", "20.1.1.1", ("20.1.1.1", "None")),
        ("::1", "127.0.0.1", ("127.0.0.1", "::1")),
    ],
)
def test_other_guesses_stay_beside_a_static_address(
    local: LocalNode, fallback: str, known: str, ips: tuple[str, str]
) -> None:
    local.set_fallback_ip(fallback)
    local.set_static_ip(known)
    assert (str(local.record.ip), str(local.record.ip6)) == ips
    local.clear_static_ip(4)
    local.clear_static_ip(6)
    assert fallback in (str(local.record.ip), str(local.record.ip6))


def test_ipv4_in_ipv6_form_is_ipv4(local: LocalNode) -> None:
    state(local, ("::ffff:20.9.9.9", 999), 10, now=0.0)
    local.set_fallback_ip("::ffff:20.1.1.1")
    assert str(local.record.ip) == "20.9.9.9"
    assert local.record.ip6 is None


@pytest.mark.parametrize("endpoint", [("0.0.0.0", 9), ("224.0.0.1", 9), ("20.1.1.1", 0)])
def test_statement_of_an_impossible_endpoint_is_passed_over(
    local: LocalNode, endpoint: tuple[str, int]
) -> None:
    state(local, endpoint, 20, now=0.0)
    assert local.record.ip is None


def test_unspecified_address_is_not_published(local: LocalNode) -> None:
    local.set_fallback_ip("0.0.0.0")
    local.set_fallback_udp(30303)
    assert local.record.ip is None
    assert local.record.udp == 30303


@pytest.mark.parametrize("ip", ["224.0.0.1", "ff02::1", "not an address", "fe80::1%eth0"])
def test_address_where_no_node_can_be_is_refused(local: LocalNode, ip: str) -> None:
    with pytest.raises(ArgumentError):
        local.set_static_ip(ip)
    with pytest.raises(ArgumentError):
        local.set_fallback_ip(ip)


def test_port_out_of_range_is_refused(local: LocalNode) -> None:
    with pytest.raises(ArgumentError):
        local.set_fallback_udp(65_536)


def test_statement_of_who_was_not_contacted_means_full_cone(local: LocalNode) -> None:
    host, stated = ip_address("20.0.0.1"), (ip_address("20.9.9.9"), 9)
    local.contact((host, 30303), Now(0.0))
    local.endpoint_statement(host, stated, Now(1.0))
    assert not local.predict_full_cone_nat(Now(1.0))
    local.endpoint_statement(ip_address("20.0.0.2"), stated, Now(2.0))
    assert local.predict_full_cone_nat(Now(2.0))
    assert not local.predict_full_cone_nat(Now(2.0), version=6)


# Threads.


def test_threads_never_see_two_records_of_one_number(local: LocalNode) -> None:
    seen: list[list[Record]] = [[] for _ in range(4)]

    def change(number: int) -> None:
        for turn in range(100):
            local.set(f"k{number}", turn)
            seen[number].append(local.record)

    threads = [threading.Thread(target=change, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    by_seq: dict[int, set[Record]] = {}
    for records in seen:
        assert [record.seq for record in records] == sorted(record.seq for record in records)
        for record in records:
            by_seq.setdefault(record.seq, set()).add(record)
    assert all(len(records) == 1 for records in by_seq.values())
