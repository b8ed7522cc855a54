"""Every wrong option is refused by name when it is given."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from p2p.clock import SimulatedClock, SystemClock
from p2p.config import Config
from p2p.crypto import PrivateKey
from p2p.dial.history import REMOTE_WINDOW_S
from p2p.discover.v5.topics.table import TOPICS_ENTRY
from p2p.enode import Node
from p2p.enode.topic import topic_id
from p2p.enr import Record
from p2p.errors import ConfigError
from p2p.netutil import Netlist
from p2p.networks import MAINNET
from p2p.observe import Observer
from p2p.protocol import Protocol

SECRET = bytes(range(1, 33))
KEY = PrivateKey.from_bytes(SECRET)
PEER = Node.from_parts(PrivateKey.from_bytes(b"\x02" * 32).public_key, ip_address("127.0.0.1"), 1)

BOOT = PEER.with_endpoint("127.0.0.1", 1, 1)


def run(peer: object, rw: object) -> None:
    """A handler that does nothing."""


def protocol(name: str = "foo", version: int = 1, length: int = 1) -> Protocol:
    return Protocol(name=name, version=version, length=length, run=run)


class Dialer:
    def dial(self, node: Node, timeout_s: float) -> socket.socket:
        raise OSError("not in this test")


def config(**options: Any) -> Config:
    return Config(**{"private_key": KEY, "name": "test", "max_peers": 10, **options})


def refusal(**options: Any) -> str:
    with pytest.raises(ConfigError) as raised:
        config(**options)
    return str(raised.value)


def test_three_options_are_enough() -> None:
    made = config()
    assert (made.private_key, made.name, made.max_peers) == (KEY, "test", 10)
    assert (made.max_pending_peers, made.dial_ratio) == (50, 3)
    assert (made.static_nodes, made.trusted_nodes, made.protocols) == ((), (), ())
    assert (made.net_restrict, made.netlist, made.listen_addr, made.listen_endpoint) == (None,) * 4
    assert (made.dialer, made.logger, made.observer) == (None, None, ())
    assert made.key_log is None
    assert (made.no_dial, made.enable_msg_events, made.accept_pre_eip8) == (False,) * 3
    assert isinstance(made.clock, SystemClock)
    assert (made.discovery_v4, made.node_database) == (None, None)
    assert (made.discovery_topics, made.topics) == (False, [])
    assert (made.disc_addr, made.disc_endpoint) == (None, None)
    assert (made.no_discovery, made.bootstrap_nodes, made.discovery_version) == (False, (), 4)
    assert not made.discovers


def test_every_option_is_kept() -> None:
    given: dict[str, Any] = {
        "max_pending_peers": 7,
        "dial_ratio": 1,
        "static_nodes": (PEER,),
        "trusted_nodes": (PEER,),
        "net_restrict": Netlist.parse("127.0.0.0/8"),
        "own_networks": Netlist.parse("20.0.0.0/24"),
        "redial_pause_s": 0.1,
        "protocols": (protocol(),),
        "listen_addr": "127.0.0.1:0",
        "discovery_v4": True,
        "no_discovery": True,
        "discovery_topics": True,
        "bootstrap_nodes": (BOOT,),
        "node_database": Path("nodes.db"),
        "disc_addr": "127.0.0.1:1",
        "discovery_version": 45,
        "dns_discovery": MAINNET.dns_trees,
        "dialer": Dialer(),
        "no_dial": True,
        "key_log": "keys.log",
        "observer": (Observer(), Observer()),
        "enable_msg_events": True,
        "logger": logging.getLogger("test"),
        "clock": SimulatedClock(),
        "accept_pre_eip8": True,
    }
    made = config(**given)
    assert {option: getattr(made, option) for option in given} == given


@pytest.mark.parametrize(
    ("urls", "words"),
    [
        (["https://example.org"], "dns_discovery: invalid link: missing 'enrtree://' prefix"),
        (["enrtree://x@example.org"], "dns_discovery: invalid link: the public key is not base32"),
        (65 * MAINNET.dns_trees, "dns_discovery: wanted at most 64 lists; got 65 "),
    ],
)
def test_wrong_node_list_is_refused_by_name(urls: Sequence[str], words: str) -> None:
    assert refusal(dns_discovery=urls).startswith(words)


def test_wrong_node_list_among_several_is_shown() -> None:
    text = refusal(dns_discovery=[*MAINNET.dns_trees, "enrtree://example.org"])
    assert text == "dns_discovery: invalid link: no public key; got 'enrtree://example.org'"


def test_config_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        config().max_peers = 11  # type: ignore[misc]


@pytest.mark.parametrize("option", ["private_key", "name", "max_peers"])
def test_missing_option_is_named(option: str) -> None:
    given = {"private_key": KEY, "name": "test", "max_peers": 10}
    del given[option]
    with pytest.raises(TypeError, match=option):
        Config(**given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("key", "words"),
    [
        (None, "generate_key()"),
        (SECRET, "PrivateKey.from_bytes(data)"),
        (bytearray(SECRET), "PrivateKey.from_bytes(data)"),
        (SECRET.hex(), "bytes.fromhex(text)"),
        (int.from_bytes(SECRET, "big"), "generate_key()"),
    ],
)
def test_private_key_in_another_form_is_refused_with_the_way_to_make_one(
    key: object, words: str
) -> None:
    assert words in refusal(private_key=key)


@pytest.mark.parametrize("key", [SECRET, SECRET.hex(), int.from_bytes(SECRET, "big")])
def test_refused_private_key_is_not_printed(key: object) -> None:
    text = refusal(private_key=key)
    assert repr(key)[:12] not in text
    assert type(key).__name__ in text


def test_config_does_not_print_its_private_key() -> None:
    assert "private_key" not in repr(config())


@pytest.mark.parametrize("option", ["max_peers", "max_pending_peers", "dial_ratio"])
@pytest.mark.parametrize("value", [-1, True, 1.0, "10", None])
def test_number_must_be_an_int_of_at_least_zero(option: str, value: object) -> None:
    text = refusal(**{option: value})
    assert text.startswith(f"{option}: ")
    assert repr(value) in text
    assert type(value).__name__ in text


def test_zero_stands_for_the_default() -> None:
    made = config(max_pending_peers=0, dial_ratio=0)
    assert (made.max_pending_peers, made.dial_ratio) == (50, 3)


def test_max_peers_may_be_zero() -> None:
    assert config(max_peers=0).max_peers == 0


@pytest.mark.parametrize(
    "option",
    ["no_dial", "no_discovery", "discovery_topics", "enable_msg_events", "accept_pre_eip8"],
)
@pytest.mark.parametrize("value", [0, 1, None, "no"])
def test_switch_must_be_true_or_false(option: str, value: object) -> None:
    assert refusal(**{option: value}).startswith(f"{option}: wanted True or False")


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("name", b"bytes"),
        ("name", None),
        ("net_restrict", 8),
        ("net_restrict", ["10.0.0.0/8"]),
        ("own_networks", True),
        ("listen_addr", 30303),
        ("listen_addr", ("127.0.0.1", 0)),
        ("discovery_v4", 1),
        ("discovery_v4", "no"),
        ("disc_addr", 30303),
        ("node_database", 3),
        ("node_database", b"nodes.db"),
        ("discovery_version", None),
        ("discovery_version", "4"),
        ("discovery_version", True),
        ("discovery_version", -1),
        ("discovery_version", 2**32),
        ("network", "sepolia"),
        ("network", MAINNET.chain),
        ("dns_discovery", "enrtree://x"),
        ("dns_discovery", [b"enrtree://x"]),
        ("bootstrap_nodes", [None]),
        ("dialer", "dial"),
        ("dialer", lambda node, timeout_s: None),
        ("logger", "p2p"),
        ("clock", None),
        ("clock", 12.5),
        ("static_nodes", None),
        ("static_nodes", PEER),
        ("trusted_nodes", [None]),
        ("protocols", None),
        ("protocols", [None]),
        ("protocols", ["foo"]),
    ],
)
def test_value_of_another_type_is_refused_by_name(option: str, value: object) -> None:
    text = refusal(**{option: value})
    assert text.startswith(f"{option}: wanted ")
    assert "; got " in text


def test_protocol_alone_is_refused_where_a_list_is_wanted() -> None:
    assert refusal(protocols=protocol()).startswith("protocols: wanted a list")


def test_long_value_is_cut_in_the_error() -> None:
    assert len(refusal(max_peers="9" * 10_000)) < 200


@pytest.mark.parametrize("option", ["static_nodes", "trusted_nodes", "bootstrap_nodes"])
def test_text_in_place_of_a_node_is_refused_with_a_hint(option: str) -> None:
    assert "parse_node" in refusal(**{option: [PEER.url]})
    assert "parse_node" in refusal(**{option: PEER.url})


def test_sequences_become_tuples() -> None:
    one = protocol()
    made = config(static_nodes=[PEER], trusted_nodes=iter([PEER]), protocols=[one])
    assert (made.static_nodes, made.trusted_nodes, made.protocols) == ((PEER,), (PEER,), (one,))


def test_own_node_may_be_among_the_static_nodes() -> None:
    own = Node.from_parts(KEY.public_key, ip_address("127.0.0.1"), 1)
    assert config(static_nodes=[own]).static_nodes == (own,)


def test_net_restrict_may_be_text() -> None:
    made = config(net_restrict="10.0.0.0/8, fd00::/8")
    assert made.netlist == made.net_restrict == Netlist.parse("10.0.0.0/8,fd00::/8")


@pytest.mark.parametrize("text", ["", " ", ",", " , "])
def test_net_restrict_that_names_no_network_is_refused(text: str) -> None:
    assert refusal(net_restrict=text).startswith("net_restrict: wanted at least one network")


OURS = Netlist.parse("20.0.0.0/24")


@pytest.mark.parametrize(
    ("options", "own"),
    [
        ({}, Netlist()),
        ({"own_networks": "20.0.0.0/24"}, OURS),
        ({"own_networks": OURS}, OURS),
        ({"net_restrict": "20.0.0.0/24"}, OURS),
        ({"net_restrict": "20.0.0.0/24", "own_networks": "fd00::/8"}, Netlist.parse("fd00::/8")),
        ({"net_restrict": "20.0.0.0/24", "own_networks": Netlist()}, Netlist()),
        # Too large to be one owner's: "IPv4 only" is no word about the hosts.
        ({"net_restrict": "0.0.0.0/0, 20.0.0.0/24, 2000::/3"}, OURS),
    ],
)
def test_own_networks_are_those_of_net_restrict_or_named(
    options: dict[str, Any], own: Netlist
) -> None:
    assert config(**options)._own.named == own


@pytest.mark.parametrize("text", ["0.0.0.0/0", "10.0.0.0/7", "::/0", "2000::/3"])
def test_network_of_many_owners_is_not_our_own(text: str) -> None:
    assert text in refusal(own_networks=f"20.0.0.0/24, {text}")


@pytest.mark.parametrize("text", ["", " , "])
def test_own_networks_without_a_network_are_refused(text: str) -> None:
    assert refusal(own_networks=text).startswith("own_networks: wanted at least one network")


@pytest.mark.parametrize("pause", [0, 0.09, -1, float("inf"), float("nan"), True, "35", None])
def test_redial_pause_is_at_least_a_tenth_of_a_second(pause: object) -> None:
    assert refusal(redial_pause_s=pause).startswith("redial_pause_s: wanted seconds")


def test_broken_net_restrict_is_refused_with_the_part_that_is_wrong() -> None:
    text = refusal(net_restrict="10.0.0.0/8, 300.0.0.0/8")
    assert text.startswith("net_restrict: ")
    assert "300.0.0.0/8" in text


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [(":30303", (None, 30303)), ("127.0.0.1:0", ("127.0.0.1", 0)), ("[::1]:1", ("::1", 1))],
)
def test_listen_addr_is_split_into_host_and_port(
    text: str, endpoint: tuple[str | None, int]
) -> None:
    made = config(listen_addr=text)
    assert (made.listen_addr, made.listen_endpoint) == (text, endpoint)


@pytest.mark.parametrize("text", ["", "30303", "127.0.0.1", ":65536", ":x", "::1:30303"])
def test_malformed_listen_addr_is_refused(text: str) -> None:
    assert refusal(listen_addr=text).startswith("listen_addr: ")


@pytest.mark.parametrize(
    ("options", "discovers"),
    [
        ({}, False),
        ({"listen_addr": ":0"}, True),
        ({"listen_addr": ":0", "discovery_v4": False, "discovery_v5": False}, False),
        ({"listen_addr": ":0", "discovery_v4": False}, True),
        ({"listen_addr": ":0", "discovery_v5": False}, True),
        ({"discovery_v5": True}, True),
        ({"listen_addr": ":0", "no_discovery": True}, False),
        ({"listen_addr": ":0", "no_discovery": True, "discovery_v4": True}, False),
        ({"discovery_v4": True}, True),
        ({"discovery_v4": True, "no_discovery": True}, False),
        ({"disc_addr": ":0"}, False),
        ({"bootstrap_nodes": [BOOT]}, False),
    ],
    ids=str,
)
def test_server_that_listens_discovers_unless_told_otherwise(
    options: dict[str, Any], discovers: bool
) -> None:
    assert config(**options).discovers is discovers


@pytest.mark.parametrize("text", ["", "30303", "127.0.0.1", ":65536", ":x", "::1:30303"])
def test_malformed_disc_addr_is_refused(text: str) -> None:
    assert refusal(disc_addr=text).startswith("disc_addr: ")


def test_disc_addr_is_split_into_host_and_port() -> None:
    assert config(disc_addr="[::1]:5").disc_endpoint == ("::1", 5)


@pytest.mark.parametrize("path", ["nodes.db", Path("nodes.db")], ids=repr)
def test_node_database_may_be_text_or_a_path(path: str | Path) -> None:
    assert config(node_database=path).node_database == path


@pytest.mark.parametrize(
    "useless",
    [
        BOOT.with_ip(None),
        BOOT.with_endpoint("0.0.0.0", 1, 1),
        BOOT.with_endpoint("127.0.0.1", 1, 0),
        BOOT.with_ip(None).with_endpoint(None, 1, 0).with_hostname("node.example"),
    ],
    ids=repr,
)
def test_bootnode_that_nobody_can_ask_is_refused(useless: Node) -> None:
    text = refusal(bootstrap_nodes=[BOOT, useless])
    assert text.startswith("bootstrap_nodes: ") and useless.id.short in text


def test_bootnode_may_have_a_name_instead_of_an_address() -> None:
    named = BOOT.with_ip(None).with_hostname("node.example")
    assert config(bootstrap_nodes=[named]).bootstrap_nodes == (named,)


#: The ports of our other address.
SIX = {"tcp6": 65534, "udp6": 65534}


def described(name: str = "foo", **attributes: object) -> Protocol:
    return Protocol(name=name, version=1, length=1, run=run, attributes=attributes)


@pytest.mark.parametrize("key", ["id", "secp256k1", "ip", "ip6", "tcp", "tcp6", "udp", "udp6"])
def test_attribute_of_the_record_that_is_the_server_s_own_is_refused(key: str) -> None:
    text = refusal(protocols=[described("eth", eth=[]), described(**{key: 1})])
    assert text.startswith("protocols: ")
    assert repr(key) in text


def test_attributes_fit_into_the_record_with_both_our_addresses() -> None:
    sizes = [size for size in range(200) if fits(size)]
    assert sizes == list(range(len(sizes)))
    largest = Record.sign(
        KEY,
        2**64 - 1,
        {
            **{"ip": "127.0.0.1", "ip6": "::1", "tcp": 65535, "udp": 65535, **SIX},
            "foo": bytes(sizes[-1]),
        },
    )
    assert len(largest.to_rlp()) == 300


def fits(size_bytes: int) -> bool:
    try:
        return bool(config(protocols=[described(foo=bytes(size_bytes))]))
    except ConfigError as error:
        assert "record" in str(error)
        return False


def test_protocol_of_same_name_and_version_twice_is_refused() -> None:
    text = refusal(protocols=[protocol("eth", 68), protocol("snap", 1), protocol("eth", 68)])
    assert text == "protocols: eth/68 is listed twice"


def test_protocol_may_come_in_several_versions() -> None:
    assert len(config(protocols=[protocol("eth", 68), protocol("eth", 69)]).protocols) == 2


def test_hello_of_exactly_two_kib_is_accepted_and_one_byte_more_is_not() -> None:
    # list header 3, version 1, name header 3, empty capabilities 1, port 3, key header 2 and 64
    longest = 2048 - 77
    assert config(name="x" * longest).name == "x" * longest
    assert "hello would take 2049 bytes" in refusal(name="x" * (longest + 1))


def test_hello_is_measured_with_all_protocols() -> None:
    protocols = [protocol(f"p{number}") for number in range(400)]
    text = refusal(protocols=protocols)
    assert text.startswith("name, protocols: ")
    assert text.endswith("go-ethereum and this library refuse one of more than 2048")


def test_hello_is_measured_in_bytes_not_in_characters() -> None:
    assert "hello would take" in refusal(name="é" * 1000)


@pytest.mark.parametrize("name", ["", "\ud800", "a\nb", "\x1b[31m", "a\0", "\u202e"], ids=repr)
def test_name_that_nobody_can_read_is_refused(name: str) -> None:
    assert refusal(name=name).startswith("name: wanted printable text, the name of the")


@pytest.mark.parametrize("name", ["Geth/v1.17.0/linux-amd64/go1.24", "é", "网", "a b", "eth/68"])
def test_any_other_name_is_taken(name: str) -> None:
    assert config(name=name, protocols=[protocol(name)]).name == name


class Lacking(SystemClock):
    """A clock without one of its methods."""

    def __init__(self, lacking: str) -> None:
        setattr(self, lacking, None)


@pytest.mark.parametrize(
    "method", ["monotonic", "time_unix", "sleep_for", "on_advance", "off_advance"]
)
def test_clock_must_have_all_its_methods(method: str) -> None:
    text = refusal(clock=Lacking(method))
    assert text.startswith("clock: ") and method in text


class Later:
    async def dial(self, node: Node, timeout_s: float) -> None: ...


class BitByBit:
    def dial(self, node: Node, timeout_s: float) -> Iterator[None]:
        yield


class WithoutTime:
    def dial(self, node: Node) -> None: ...


@pytest.mark.parametrize("dialer", [Later(), BitByBit()])
def test_dialer_that_a_call_does_not_run_is_refused(dialer: object) -> None:
    text = refusal(dialer=dialer)
    assert text.startswith("dialer.dial must be a plain function, called as dial(node, timeout_s)")


def test_dialer_of_other_arguments_is_refused() -> None:
    text = refusal(dialer=WithoutTime())
    assert text.startswith("dialer.dial must be callable as dial(node, timeout_s), but ")


class LateClock(SystemClock):
    async def sleep_for(self, deadline: float) -> float | None:  # type: ignore[override]
        return None


def test_clock_that_a_call_does_not_run_is_refused() -> None:
    assert refusal(clock=LateClock()).startswith("clock.sleep_for must be a plain function")


def test_shares_of_max_peers_follow_from_the_options() -> None:
    made = config(max_peers=50, dial_ratio=2)
    assert (made.max_dialed_conns, made.max_inbound_conns) == (25, 25)
    made = config(max_peers=50, no_dial=True)
    assert (made.max_dialed_conns, made.max_inbound_conns) == (0, 50)


# the slots of peers


@pytest.mark.parametrize(
    ("max_peers", "dial_ratio", "no_dial", "dialed", "inbound"),
    [
        (50, 0, False, 16, 34),
        (50, 3, False, 16, 34),
        (50, 2, False, 25, 25),
        (50, 1, False, 50, 0),
        (50, 100, False, 1, 49),
        (50, 3, True, 0, 50),
        (1, 3, False, 1, 1),
        (1, 1, False, 1, 0),
        (1, 3, True, 0, 1),
        (2, 3, False, 1, 1),
        (0, 3, False, 0, 0),
    ],
)
def test_peer_slots_are_shared_by_the_dial_ratio(
    max_peers: int, dial_ratio: int, no_dial: bool, dialed: int, inbound: int
) -> None:
    made = config(max_peers=max_peers, dial_ratio=dial_ratio, no_dial=no_dial)
    assert (made.max_dialed_conns, made.max_inbound_conns) == (dialed, inbound)


def test_node_is_dialed_again_after_the_throttle_of_the_remote() -> None:
    assert config().redial_pause_s == REMOTE_WINDOW_S


def test_options_without_an_effect_are_named() -> None:
    assert config()._warnings == []
    assert config(no_dial=True)._warnings == ["server is useless: it neither dials nor listens"]
    ignored = config(bootstrap_nodes=[BOOT], nat="any")._warnings
    assert [line.partition(":")[0] for line in ignored] == [
        "bootstrap_nodes are ignored",
        "nat is ignored",
    ]
    assert config(bootstrap_nodes=[BOOT], nat="any", listen_addr=":0")._warnings == []


# topics


def test_topics_need_discovery_v5() -> None:
    words = "discovery_topics: topics need discovery v5, which does not run"
    assert refusal(discovery_topics=True).startswith(words)
    assert refusal(discovery_topics=True, listen_addr=":0", discovery_v5=False).startswith(words)
    for options in ({"listen_addr": ":0"}, {"discovery_v5": True}, {"no_discovery": True}):
        assert config(discovery_topics=True, **options).discovery_topics


def test_topics_of_protocols_are_used_if_topics_are_on() -> None:
    protocols = [
        Protocol("one", 1, 1, topic="a topic"),
        Protocol("one", 2, 1, topic="a topic"),
        Protocol("two", 1, 1, topic=bytes(32)),
        Protocol("three", 1, 1),
    ]
    made = config(protocols=protocols, listen_addr=":0", discovery_topics=True)
    assert made.topics == [topic_id("a topic"), bytes(32)]
    assert config(protocols=protocols, listen_addr=":0").topics == []


def test_record_has_the_entry_for_topics() -> None:
    assert config(discovery_topics=True, listen_addr=":0").record_entries(0) == {TOPICS_ENTRY: 1}
    assert config(listen_addr=":0").record_entries(0) == {}
