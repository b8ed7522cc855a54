"""LAN discovery between hosts of a class room, each in a network namespace; also beside avahi."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import p2p
from p2p.enr import Record
from p2p.lan.link import SERVICE_TYPE
from p2p.lan.txt import txt_of

from .classroom import AVAHI, Node, Room, missing
from .homeprogram import PORT

MISSING = missing()
MISSING_AVAHI = missing(*AVAHI)
pytestmark = pytest.mark.skipif(MISSING is not None, reason=MISSING or "")
needs_avahi = pytest.mark.skipif(MISSING_AVAHI is not None, reason=MISSING_AVAHI or "")

#: 224.0.0.251, and port 5353, as the kernel lists them.
GROUP, MDNS_PORT = "FB0000E0", ":14E9"


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    with Room(tmp_path) as room:
        yield room


def start(room: Room, number: int, switch: str = "room", **options: object) -> Node:
    """A host with a server; its address ends in the number."""
    room.add_host(f"h{number}", **{switch: f"192.168.77.{number}/24"})
    return room.start(f"h{number}", **options)


def signed(ip: str) -> Record:
    return Record.sign(p2p.generate_key(), 1, ip=ip, tcp=PORT, udp=PORT)


def test_three_nodes_connect_without_any_address_and_one_leaves(room: Room) -> None:
    a, b, c = (start(room, number) for number in (1, 2, 3))
    a.knows(**{b.id: "192.168.77.2", c.id: "192.168.77.3"})
    b.knows(**{a.id: "192.168.77.1", c.id: "192.168.77.3"})
    for node, others in ((a, (b, c)), (b, (a, c)), (c, (a, b))):
        ids = sorted(other.id for other in others)
        node.wait_for(lambda state, ids=ids: state["peers"] == ids)  # type: ignore[misc]
    assert a.state["ip"] == "192.168.77.1"
    a.wait_for_log("found 2 nodes on the LAN")
    c.process.finish()
    a.knows(**{b.id: "192.168.77.2"})
    b.knows(**{a.id: "192.168.77.1"})


@pytest.mark.parametrize("how", ["stopped", "killed"])
def test_node_that_starts_again_is_a_peer_again(room: Room, how: str) -> None:
    """At once, since it dials: the others may not for ``redial_pause_s``."""
    key = p2p.generate_key().to_bytes().hex()
    a, b = (start(room, number, redial_pause_s=1e6) for number in (1, 2))
    room.add_host("h3", room="192.168.77.3/24")
    first = room.start("h3", key=key)
    a.wait_for(lambda state: state["peers"] == sorted((b.id, first.id)))
    first.process.close(terminate=how == "killed")
    again = room.start("h3", key=key, redial_pause_s=1e6)
    again.wait_for(lambda state: state["peers"] == sorted((a.id, b.id)))
    a.wait_for(lambda state: state["lan"].get(first.id) == "192.168.77.3")


def test_room_of_twenty(room: Room) -> None:
    nodes = [start(room, number, max_peers=60) for number in range(1, 21)]
    ids = sorted(node.id for node in nodes)
    for node in nodes:
        others = [each for each in ids if each != node.id]
        node.wait_for(lambda state, others=others: state["peers"] == others)  # type: ignore[misc]


def test_forged_record_and_public_address_are_refused(room: Room) -> None:
    a, b = (start(room, number) for number in (1, 2))
    forged = txt_of(signed("192.168.77.9"))
    forged = forged[:40] + (b"A" if forged[40:41] != b"A" else b"B") + forged[41:]
    for number, (txt, address) in enumerate(
        [
            (forged, "192.168.77.9"),
            (txt_of(signed("20.0.0.9")), "20.0.0.9"),
            (txt_of(signed("10.1.2.3")), "10.1.2.3"),
        ]
    ):
        room.add_host(f"evil{number}", room=f"192.168.77.{100 + number}/24")
        room.announce(f"evil{number}", txt, address)
        refused = a.wait_for_log("is refused")
        a.log.clear()
        assert refused.startswith(f"evil{number}.") and refused.isprintable()
    a.knows(**{b.id: "192.168.77.2"})
    assert a.state["peers"] == [b.id]


def test_record_repeated_by_another_host_leads_to_its_node(room: Room) -> None:
    """Its signed address counts, not the one that is announced beside it."""
    key = p2p.generate_key()
    record = Record.sign(key, 1, ip="192.168.77.2", tcp=PORT, udp=PORT)
    room.add_host("evil", room="192.168.77.66/24")
    room.announce("evil", txt_of(record), "192.168.77.66")
    a = start(room, 1)
    a.knows(**{str(p2p.Node.from_record(record).id): "192.168.77.2"})


def test_two_vlans_do_not_meet_but_a_host_in_both_meets_both(room: Room) -> None:
    a = start(room, 1, "red")
    room.add_host("h2", blue="10.7.7.2/24")
    room.add_host("both", red="192.168.77.3/24", blue="10.7.7.3/24")
    b, both = room.start("h2"), room.start("both")
    a.knows(**{both.id: "192.168.77.3"})
    b.knows(**{both.id: "10.7.7.3"})
    both.knows(**{a.id: "192.168.77.1", b.id: "10.7.7.2"})
    both.wait_for(lambda state: state["peers"] == sorted((a.id, b.id)))


def test_interface_comes_and_goes(room: Room) -> None:
    a = start(room, 1)
    room.add_host("late")
    late = room.start("late")
    late.wait_for_log("no interface with an address of a local network")
    assert late.state == {} or late.state["ip"] == "127.0.0.1"
    room.plug_in("late", "wlan0", "room")
    room.add_address("late", "wlan0", "192.168.77.9/24")
    a.knows(**{late.id: "192.168.77.9"})
    late.knows(**{a.id: "192.168.77.1"})
    late.wait_for(lambda state: state["ip"] == "192.168.77.9" and state["peers"] == [a.id])
    room.unplug("late", "wlan0")
    late.knows()
    late.wait_for(lambda state: state["ip"] == "127.0.0.1")


def test_ipv6_alone(room: Room) -> None:
    nodes = []
    for number in (1, 2):
        room.add_host(f"h{number}", room=f"fd00:77::{number}/64")
        nodes.append(room.start(f"h{number}"))
    a, b = nodes
    a.knows(**{b.id: "fd00:77::2"})
    a.wait_for(lambda state: state["peers"] == [b.id])


def test_networks_that_the_options_exclude(room: Room) -> None:
    a, b = start(room, 1), start(room, 2, net_restrict="10.0.0.0/8")
    b.wait_for_log("no interface with an address of a local network")
    room.add_host("c", room="20.0.0.3/24")
    c = room.start("c")
    c.wait_for_log("no interface with an address of a local network")
    room.add_host("d", room="20.0.0.4/24")
    room.add_host("e", room="20.0.0.5/24")
    d, e = (room.start(host, own_networks="20.0.0.0/24") for host in "de")
    d.knows(**{e.id: "20.0.0.5"})
    e.knows(**{d.id: "20.0.0.4"})
    a.knows()


def test_no_multicast_without_the_option(room: Room) -> None:
    on, off = start(room, 1), start(room, 2, lan_discovery=False)
    assert on.id and off.id
    on.wait_for_log("announces this node at eth0 (192.168.77.1)")
    assert GROUP in room.groups("h1") and MDNS_PORT in room.groups("h1")
    assert GROUP not in room.groups("h2") and MDNS_PORT not in room.groups("h2")


@needs_avahi
def test_avahi_reads_what_we_announce(room: Room) -> None:
    room.add_host("reader", room="192.168.77.9/24")
    room.start_avahi("reader")
    a = start(room, 1)
    service = SERVICE_TYPE.removesuffix(".local.")
    browse = room.avahi("reader", f"avahi-browse --parsable --resolve --no-db-lookup {service}")
    fields: list[str] = []
    while len(fields) < 10:  # a resolved service
        fields = browse.line().rstrip("\n").split(";", 9)
    assert (fields[0], fields[4], fields[7], fields[8]) == (
        *("=", service, "192.168.77.1", str(PORT)),
    )
    strings = dict(text.split("=", 1) for text in fields[9].strip('"').split('" "'))
    assert strings.pop("txtvers") == "1"
    record = Record.from_text(strings.pop("enr") + strings.pop("enr2", ""))
    assert str(p2p.Node.from_record(record).id) == a.id and strings == {}


@needs_avahi
def test_node_that_avahi_announces_is_found(room: Room) -> None:
    room.add_host("other", room="192.168.77.9/24")
    room.start_avahi("other")
    a = start(room, 1)
    record = signed("192.168.77.9")
    service = SERVICE_TYPE.removesuffix(".local.")
    words = f"some-name {service} {PORT} txtvers=1 enr={record.to_text()}"
    room.avahi("other", f"avahi-publish -s {words}")
    a.knows(**{str(p2p.Node.from_record(record).id): "192.168.77.9"})
