from __future__ import annotations

from ipaddress import IPv4Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from p2p.netutil import IPTracker, host_of
from p2p.netutil.iptracker import MAX_HOSTS

HERE = (ip_address("1.2.3.4"), 8000)
THERE = (ip_address("5.6.7.8"), 9000)


def host(number: int) -> IPv4Address:
    return IPv4Address(0x7F000000 + number)


def tracker(min_statements: int = 3) -> IPTracker:
    return IPTracker(window_s=10.0, contact_window_s=10.0, min_statements=min_statements)


def test_nothing_is_predicted_before_enough_statements() -> None:
    ours = tracker(3)
    predictions = []
    for number in range(3):
        ours.add_statement(host(number), HERE, float(number))
        predictions.append(ours.predict_endpoint(float(number)))
    assert predictions == [None, None, HERE]


def test_without_statements_nothing_is_predicted() -> None:
    assert tracker(0).predict_endpoint(0.0) is None


def test_statements_count_within_the_window_only() -> None:
    ours = tracker(3)
    for number, at in enumerate([0.0, 2.0, 3.0]):
        ours.add_statement(host(number), HERE, at)
    assert ours.predict_endpoint(10.0) == HERE
    assert ours.predict_endpoint(10.001) is None
    ours.add_statement(host(0), HERE, 10.1)
    assert ours.predict_endpoint(10.2) == HERE


def test_a_host_has_one_voice() -> None:
    ours = tracker(2)
    for _ in range(5):
        ours.add_statement(host(1), HERE, 0.0)
    assert ours.predict_endpoint(0.0) is None


def test_all_addresses_of_an_ipv6_64_share_one_voice() -> None:
    ours, here = tracker(2), (ip_address("2001:db8:1::1"), 8000)
    for last in ("0:0:0:0", "0:0:0:1", "8000:0:0:0", "ffff:ffff:ffff:ffff"):
        ours.add_statement(ip_address(f"2001:db8:5:6:{last}"), here, 0.0)
    assert ours.predict_endpoint(0.0) is None
    ours.add_statement(ip_address("2001:db8:5:7::1"), here, 0.0)
    assert ours.predict_endpoint(0.0) == here


def test_ipv4_neighbors_have_a_voice_each() -> None:
    ours = tracker(2)
    ours.add_statement(ip_address("20.0.0.1"), HERE, 0.0)
    ours.add_statement(ip_address("::ffff:20.0.0.2"), HERE, 0.0)
    assert ours.predict_endpoint(0.0) == HERE


@pytest.mark.parametrize(
    "from_host, stated, heard",
    [
        ("2001:db8::1", "1.2.3.4", False),
        ("2001:db8::1", "::ffff:1.2.3.4", False),
        ("20.0.0.1", "2001:db8::2", False),
        ("::ffff:20.0.0.1", "2001:db8::2", False),
        ("::ffff:20.0.0.1", "1.2.3.4", True),
        ("20.0.0.1", "::ffff:1.2.3.4", True),
        ("2001:db8::1", "2001:db8::2", True),
    ],
)
def test_a_host_has_no_say_about_our_address_of_the_other_ip_version(
    from_host: str, stated: str, heard: bool
) -> None:
    ours = tracker(1)
    ours.add_statement(ip_address(from_host), (ip_address(stated), 8000), 0.0)
    assert (ours.predict_endpoint(0.0) is not None) == heard
    assert ours.predict_full_cone_nat(0.0) == heard


def test_contact_with_one_address_of_an_ipv6_64_is_contact_with_all() -> None:
    ours, here = tracker(1), (ip_address("2001:db8:1::1"), 8000)
    ours.add_contact(ip_address("2001:db8:5:6::1"), 0.0)
    ours.add_statement(ip_address("2001:db8:5:6::2"), here, 1.0)
    assert not ours.predict_full_cone_nat(1.0)


def test_the_last_statement_of_a_host_counts() -> None:
    ours = tracker(2)
    ours.add_statement(host(1), HERE, 0.0)
    ours.add_statement(host(2), HERE, 1.0)
    ours.add_statement(host(2), THERE, 2.0)
    assert ours.predict_endpoint(2.0) is None
    ours.add_statement(host(1), THERE, 3.0)
    assert ours.predict_endpoint(3.0) == THERE


def test_a_renewed_statement_lives_on() -> None:
    ours = tracker(2)
    ours.add_statement(host(1), HERE, 0.0)
    ours.add_statement(host(2), HERE, 5.0)
    ours.add_statement(host(1), HERE, 9.0)
    assert ours.predict_endpoint(15.0) == HERE


def test_the_majority_wins() -> None:
    ours = tracker(2)
    for number in range(2):
        ours.add_statement(host(number), THERE, 0.0)
    for number in range(2, 5):
        ours.add_statement(host(number), HERE, 1.0)
    assert ours.predict_endpoint(1.0) == HERE


def test_ports_make_different_endpoints() -> None:
    ours = tracker(2)
    ours.add_statement(host(1), HERE, 0.0)
    ours.add_statement(host(2), (HERE[0], 8001), 0.0)
    assert ours.predict_endpoint(0.0) is None


def test_a_mapped_address_counts_as_the_ipv4_address() -> None:
    ours = tracker(2)
    ours.add_statement(host(1), HERE, 0.0)
    ours.add_statement(ip_address("::ffff:127.0.0.1"), HERE, 0.0)  # the same host
    assert ours.predict_endpoint(0.0) is None
    ours.add_statement(host(2), (ip_address("::ffff:1.2.3.4"), 8000), 0.0)
    assert ours.predict_endpoint(0.0) == HERE


def test_statements_of_contacted_hosts_show_no_full_cone() -> None:
    ours = tracker()
    for number in range(3):
        ours.add_contact(host(number), float(number))
        ours.add_statement(host(number), HERE, number + 0.01)
    assert not ours.predict_full_cone_nat(3.5)


def test_a_statement_before_contact_shows_a_full_cone() -> None:
    ours = tracker()
    ours.add_contact(host(1), 0.0)
    ours.add_statement(host(1), HERE, 0.01)
    ours.add_statement(host(2), HERE, 3.0)
    ours.add_contact(host(2), 3.01)
    assert ours.predict_full_cone_nat(3.5)


def test_a_statement_after_contact_replaces_the_one_before() -> None:
    ours = tracker()
    ours.add_statement(host(2), HERE, 3.0)
    ours.add_contact(host(2), 3.01)
    ours.add_statement(host(2), HERE, 3.02)
    assert not ours.predict_full_cone_nat(3.5)


def test_a_second_contact_does_not_undo_the_first() -> None:
    ours = tracker()
    ours.add_contact(host(1), 0.0)
    ours.add_statement(host(1), HERE, 0.01)
    ours.add_contact(host(1), 1.0)
    assert not ours.predict_full_cone_nat(1.0)


def test_a_contact_of_long_ago_does_not_count() -> None:
    ours = tracker()
    ours.add_contact(host(1), 0.0)
    ours.add_statement(host(1), HERE, 10.5)
    assert ours.predict_full_cone_nat(10.5)


def test_without_statements_there_is_no_full_cone() -> None:
    ours = tracker()
    ours.add_contact(host(1), 0.0)
    assert not ours.predict_full_cone_nat(0.0)


def test_statements_and_contacts_are_bounded_in_number() -> None:
    ours = tracker(1)
    for number in range(3 * MAX_HOSTS):
        ours.add_statement(host(number), (host(number), 8000), 0.0)
        ours.add_contact(host(number), 0.0)
    assert len(ours._statements) == len(ours._contacts) == len(ours._counts) == MAX_HOSTS
    assert host_of(host(3 * MAX_HOSTS - 1)) in ours._statements


def test_what_is_too_old_is_forgotten_without_being_asked_for() -> None:
    ours = tracker(1)
    for tick in range(2000):
        ours.add_statement(host(tick), (host(tick), 8000), tick * 0.05)
        ours.add_contact(host(tick), tick * 0.05)
    assert len(ours._statements) == len(ours._counts) <= 201
    assert len(ours._contacts) <= 201


steps = st.lists(
    st.tuples(st.integers(0, 3), st.sampled_from([HERE, THERE]), st.floats(0, 4)), max_size=30
)


@given(steps)
def test_prediction_is_that_of_counting_the_latest_statements(
    events: list[tuple[int, tuple[IPv4Address, int], float]],
) -> None:
    ours, latest, now = tracker(2), {}, 0.0
    for number, endpoint, pause in events:
        now += pause
        ours.add_statement(host(number), endpoint, now)
        latest[host(number)] = (endpoint, now)
    stated = [endpoint for endpoint, at in latest.values() if at >= now - 10.0]
    votes = {endpoint: stated.count(endpoint) for endpoint in (HERE, THERE)}
    predicted = ours.predict_endpoint(now)
    if predicted is None:
        assert max(votes.values()) < 2
    else:
        assert votes[predicted] == max(votes.values()) >= 2
