"""Wrong values at the public functions: each is refused by an error of ours that names it.

For each argument there is a call, and values that it takes; all others of VALUES are wrong. They
are of the wrong type (ArgumentError and TypeError), but for those in UNFIT (ArgumentError and
ValueError). The text has the form "name: wanted this; got that (type)".
"""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Callable, Collection
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

import p2p
import p2p.testing
from p2p.errors import ArgumentError, ArgumentTypeError
from tests.kit.nodes import Nodes

KEY = p2p.PrivateKey.from_bytes(bytes(range(1, 33)))
NODE = p2p.Node.from_parts(KEY.public_key, "192.0.2.7", 1, 1)
RECORD = p2p.Record.sign(KEY, 7, ip="192.0.2.7")
NETLIST = p2p.Netlist.parse("10.0.0.0/8")

#: One that is closed: nobody is to wait for it.
PIPE = p2p.testing.msg_pipe()[0]
PIPE.close()

CHAIN = p2p.eth.Chain(bytes(32))
FORK_ID = CHAIN.fork_id(0, 0)
NETWORK = p2p.networks.Network("test", 1, CHAIN)
STATUS = p2p.eth.make_status(NETWORK, 69)
ETH = p2p.eth.Client(PIPE, 71, timeout=0)
BODY = p2p.eth.BlockBody([], [])


def make_status(version: Any = 69, head: Any = None) -> p2p.eth.Status:
    return p2p.eth.make_status(NETWORK, version, head=head)


@p2p.messages.message(0)
class Greeting:
    """A message."""


GREETINGS = p2p.messages.Messages("x", 1, [Greeting])

VALUES: dict[str, Any] = {
    "none": None,
    "true": True,
    "number": 5,
    "float": 1.5,
    "text": "x",
    "bytes": b"x",
    "tuple": (0, b"x"),
    "list": [],
    "mapping": {},
    "object": object(),
    "function": print,
    "key": KEY,
    "public key": KEY.public_key,
    "node": NODE,
    "nodes": [NODE],
    "record": RECORD,
    "address": ip_address("192.0.2.7"),
    "iterator": iter([]),
    "pipe": PIPE,
}

#: By call: the values that it takes, and the call.
CALLS: dict[str, tuple[Collection[str], Callable[[Any], object]]] = {
    "Msg(code)": (["true", "number"], lambda value: p2p.Msg(value)),
    "Msg(payload)": (["bytes"], lambda value: p2p.Msg(0, value)),
    "send(rw)": (["pipe"], lambda value: p2p.send(value, 0, 0)),
    "send(code)": (["true", "number"], lambda value: p2p.send(p2p.testing.msg_pipe()[0], value, 0)),
    "send_items(rw)": (["pipe"], lambda value: p2p.send_items(value, 0, 0)),
    "rw.send(code)": (["true", "number"], lambda value: p2p.testing.msg_pipe()[0].send(value, 0)),
    "rw.send_items(code)": (
        ["true", "number"],
        lambda value: p2p.testing.msg_pipe()[0].send_items(value),
    ),
    "expect_msg(rw)": (["pipe"], lambda value: p2p.expect_msg(value, 0, timeout=0)),
    "expect_msg(code)": (
        ["true", "number"],
        lambda value: p2p.expect_msg(p2p.testing.msg_pipe()[0], value, timeout=0),
    ),
    "MaxLength": (["number"], lambda value: p2p.rlp.MaxLength(value)),
    "Messages(name)": (["text"], lambda value: p2p.messages.Messages(value, 1, [Greeting])),
    "Messages(version)": (["number"], lambda value: p2p.messages.Messages("x", value, [Greeting])),
    "Messages(length)": (
        ["none", "number"],
        lambda value: p2p.messages.Messages("x", 1, [Greeting], length=value),
    ),
    "Messages.encode": ([], lambda value: GREETINGS.encode(value)),
    "Messages.code_of": ([], lambda value: GREETINGS.code_of(value)),
    "message(code)": (["number"], lambda value: p2p.messages.message(value)),
    "message(max_size)": (["number"], lambda value: p2p.messages.message(0, max_size=value)),
    "message(bare)": (["true"], lambda value: p2p.messages.message(0, bare=value)),
    "protocol(messages)": ([], lambda value: p2p.messages.protocol(value)),
    "protocol(handler)": (["none", "function"], lambda v: p2p.messages.protocol(GREETINGS, v)),
    "TypedReadWriter(rw)": (["pipe"], lambda v: p2p.messages.TypedReadWriter(v, GREETINGS)),
    "TypedReadWriter(messages)": ([], lambda v: p2p.messages.TypedReadWriter(PIPE, v)),
    "describe": ([], lambda value: p2p.describe(value)),
    "write_msg": ([], lambda value: p2p.testing.msg_pipe()[0].write_msg(value)),
    "connect(node)": (["node"], lambda value: connect(value)),
    "connect(private_key)": (["none", "key"], lambda value: connect(private_key=value)),
    "msg_pipe(protocol)": (["none"], lambda value: p2p.testing.msg_pipe(value)),
    "msg_pipe(length)": (["none", "number"], lambda value: p2p.testing.msg_pipe(length=value)),
    "MsgPipe.close": (["true", "number"], lambda value: p2p.testing.msg_pipe()[0].close(value)),
    "Disconnect": (["true", "number"], lambda value: p2p.Disconnect(value)),
    "PeerDisconnected": (["true", "number"], lambda value: p2p.PeerDisconnected(value, True)),
    "RefusedByPeer": (["true", "number"], lambda value: p2p.errors.RefusedByPeer(value)),
    "Node.from_parts(public_key)": (["public key"], lambda value: p2p.Node.from_parts(value)),
    "Node.from_parts(ip)": (
        ["none", "address"],
        lambda value: p2p.Node.from_parts(KEY.public_key, value),
    ),
    "Node.from_parts(tcp)": (
        ["number"],
        lambda value: p2p.Node.from_parts(KEY.public_key, None, value),
    ),
    "Node.from_parts(udp)": (
        ["number"],
        lambda value: p2p.Node.from_parts(KEY.public_key, None, 0, value),
    ),
    "Node.from_record": (["record"], lambda value: p2p.Node.from_record(value)),
    "Node.with_hostname": (["text"], lambda value: NODE.with_hostname(value)),
    "Node.with_ip": (["none", "address"], lambda value: NODE.with_ip(value)),
    "Node.with_endpoint": (["number"], lambda value: NODE.with_endpoint(None, value, 0)),
    "NodeID": ([], lambda value: p2p.NodeID(value)),
    "NodeID.from_public_key": (["public key"], lambda value: p2p.NodeID.from_public_key(value)),
    "Record.sign(private_key)": (["key"], lambda value: p2p.Record.sign(value, 1)),
    "Record.sign(seq)": (["number"], lambda value: p2p.Record.sign(KEY, value)),
    "Record.sign(entries)": (["none", "mapping"], lambda value: p2p.Record.sign(KEY, 1, value)),
    "Record.sign(ip)": (["address"], lambda value: p2p.Record.sign(KEY, 1, ip=value)),
    "Record.sign(tcp)": (["number"], lambda value: p2p.Record.sign(KEY, 1, tcp=value)),
    "Record.updated": (["none", "mapping"], lambda value: RECORD.updated(KEY, value)),
    "Record.get": (["text", "bytes"], lambda value: RECORD.get(value)),
    "in Record": (["text", "bytes"], lambda value: value in RECORD),
    "PrivateKey.from_bytes": ([], lambda value: p2p.PrivateKey.from_bytes(value)),
    "PublicKey.from_bytes": ([], lambda value: p2p.PublicKey.from_bytes(value)),
    "PublicKey.from_compressed": ([], lambda value: p2p.PublicKey.from_compressed(value)),
    "PublicKey.from_uncompressed": ([], lambda value: p2p.PublicKey.from_uncompressed(value)),
    "load_key": (["text"], lambda value: p2p.load_key(value)),
    "save_key(path)": (["text"], lambda value: p2p.save_key(value, KEY)),
    "save_key(key)": (["key"], lambda value: p2p.save_key(Path("key"), value)),
    "load_or_generate_key": (["text"], lambda value: p2p.load_or_generate_key(value)),
    "Netlist.parse": ([], lambda value: p2p.Netlist.parse(value)),
    "Netlist.contains": (["address"], lambda value: NETLIST.contains(value)),
    "iter_nodes": (
        ["tuple", "list", "nodes", "mapping", "iterator", "pipe"],
        lambda value: p2p.enode.iter_nodes(value),
    ),
    "cycle_nodes": (
        ["tuple", "list", "nodes", "mapping", "iterator", "pipe"],
        lambda value: p2p.enode.cycle_nodes(value),
    ),
    "filter_nodes(source)": (
        ["text", "bytes", "tuple", "list", "nodes", "mapping", "iterator", "pipe"],
        lambda value: p2p.enode.filter_nodes(value, lambda node: True),
    ),
    "filter_nodes(predicate)": (
        ["function"],
        lambda value: p2p.enode.filter_nodes(iter([]), value),
    ),
    "ForkID(hash)": ([], lambda value: p2p.eth.ForkID(value, 0)),
    "ForkID(next)": (["number"], lambda value: p2p.eth.ForkID(bytes(4), value)),
    "Chain(genesis_hash)": ([], lambda value: p2p.eth.Chain(value)),
    "Chain(fork_blocks)": (["list"], lambda value: p2p.eth.Chain(bytes(32), value)),
    "Chain(fork_times)": (["list"], lambda value: p2p.eth.Chain(bytes(32), (), value)),
    "Chain(genesis_time)": (["number"], lambda value: p2p.eth.Chain(bytes(32), (), (), value)),
    "Chain.fork_id(head_block)": (["number"], lambda value: CHAIN.fork_id(value, 0)),
    "Chain.fork_id(head_time)": (["number"], lambda value: CHAIN.fork_id(0, value)),
    "Chain.check(remote)": ([], lambda value: CHAIN.check(value, 0, 0)),
    "Chain.check(head_block)": (["number"], lambda value: CHAIN.check(FORK_ID, value, 0)),
    "Chain.check(head_time)": (["number"], lambda value: CHAIN.check(FORK_ID, 0, value)),
    "handshake(rw)": (["pipe"], lambda value: p2p.eth.handshake(value, STATUS, CHAIN)),
    "handshake(status)": ([], lambda value: p2p.eth.handshake(PIPE, value, CHAIN)),
    "handshake(chain)": ([], lambda value: p2p.eth.handshake(PIPE, STATUS, value)),
    "make_status(network)": ([], lambda value: p2p.eth.make_status(value, 69)),
    "make_status(head)": (["none"], lambda value: make_status(69, head=value)),
    "make_status(version)": (["number"], lambda value: make_status(value)),
    "check_status(theirs)": ([], lambda value: p2p.eth.check_status(value, STATUS, CHAIN)),
    "check_status(ours)": ([], lambda value: p2p.eth.check_status(STATUS, value, CHAIN)),
    "check_status(chain)": ([], lambda value: p2p.eth.check_status(STATUS, STATUS, value)),
    "eth.Client(rw)": (["pipe"], lambda value: p2p.eth.Client(value, 69)),
    "eth.Client(version)": ([], lambda value: p2p.eth.Client(PIPE, value)),
    "eth.Client(on_message)": (
        ["none", "function"],
        lambda value: p2p.eth.Client(PIPE, 69, on_message=value),
    ),
    "eth.Client(timeout)": (
        ["none", "number", "float"],
        lambda value: p2p.eth.Client(PIPE, 69, timeout=value),
    ),
    "get_block_headers(start)": (["number"], lambda value: ETH.get_block_headers(value)),
    "get_block_headers(limit)": (["number"], lambda value: ETH.get_block_headers(0, value)),
    "get_block_headers(skip)": (["number"], lambda value: ETH.get_block_headers(0, 1, skip=value)),
    "get_block_headers(reverse)": (["true"], lambda value: ETH.get_block_headers(0, reverse=value)),
    "get_block_bodies": ([], lambda value: ETH.get_block_bodies(value)),
    "get_receipts": ([], lambda value: ETH.get_receipts(value)),
    "get_block_access_lists": ([], lambda value: ETH.get_block_access_lists(value)),
    "get_pooled_transactions": (["list"], lambda value: ETH.get_pooled_transactions(value)),
    "check_chain": (["list"], lambda value: p2p.eth.check_chain(value)),
    "check_body(header)": ([], lambda value: p2p.eth.check_body(value, BODY)),
    "check_receipts(header)": ([], lambda value: p2p.eth.check_receipts(value, [])),
    "check_access_list(header)": ([], lambda value: p2p.eth.check_access_list(value, [])),
    "list_root": (["list"], lambda value: p2p.eth.list_root(value)),
    "transaction_hash": (["bytes"], lambda value: p2p.eth.transaction_hash(value)),
    "transaction_type": (["bytes"], lambda value: p2p.eth.transaction_type(value)),
    "consensus_encoding": (["bytes"], lambda value: p2p.eth.consensus_encoding(value)),
    "cell_bitmap": (["number"], lambda value: p2p.eth.cell_bitmap(value)),
    "cell_indices": (["bytes"], lambda value: p2p.eth.cell_indices(value)),
    "eth_entry": ([], lambda value: p2p.eth.eth_entry(value)),
    "fork_id_of": (["node", "record"], lambda value: p2p.eth.fork_id_of(value)),
    "node_filter(chain)": ([], lambda value: p2p.eth.node_filter(value)),
    "node_filter(head)": (["none", "function"], lambda value: p2p.eth.node_filter(CHAIN, value)),
    "node_filter()(node)": (["node"], lambda value: p2p.eth.node_filter(CHAIN)(value)),
    "Network(name)": (["text"], lambda value: p2p.networks.Network(value, 1, CHAIN)),
    "Network(network_id)": (["number"], lambda value: p2p.networks.Network("own", value, CHAIN)),
    "Network(chain)": ([], lambda value: p2p.networks.Network("own", 1, value)),
    "Network(bootstrap_urls)": (["list"], lambda value: new_network(bootstrap_urls=value)),
    "Network(bootstrap_records)": (["list"], lambda value: new_network(bootstrap_records=value)),
    "Network(dns_trees)": (["list"], lambda value: new_network(dns_trees=value)),
    "Network(source)": (["text"], lambda value: new_network(source=value)),
    "Requests(rw)": (["pipe"], lambda value: p2p.requests.Requests(value)),
    "Requests(rates)": (["none"], lambda value: p2p.requests.Requests(PIPE, rates=value)),
    "Requests.start(code)": (
        ["number"],
        lambda value: p2p.requests.Requests(p2p.testing.msg_pipe()[0]).start(value),
    ),
    "Requests.deliver(request_id)": (
        ["number"],
        lambda value: p2p.requests.Requests(PIPE).deliver(value, ""),
    ),
    "RateEstimator(rates)": (
        ["none", "mapping"],
        lambda value: p2p.requests.RateEstimator(value),
    ),
    "RateEstimator(round_trip_s)": (
        ["number", "float"],
        lambda value: p2p.requests.RateEstimator(None, value),
    ),
    "FairMix": (["none", "number", "float"], lambda value: p2p.enode.FairMix(value).close()),
    "SimulatedClock": (["number", "float"], lambda value: p2p.testing.SimulatedClock(value)),
    "SimulatedClock.advance": (
        ["number", "float"],
        lambda value: p2p.testing.SimulatedClock().advance(value),
    ),
}


#: Of the right type, by call.
UNFIT: dict[str, str] = {
    "connect(node)": "text",
    "Node.from_parts(ip)": "text",
    "Node.with_ip": "text",
    "NodeID": "bytes",
    "Record.sign(ip)": "text",
    "PrivateKey.from_bytes": "bytes",
    "PublicKey.from_bytes": "bytes",
    "PublicKey.from_compressed": "bytes",
    "PublicKey.from_uncompressed": "bytes",
    "Netlist.parse": "text",
    "ForkID(hash)": "bytes",
    "eth.Client(version)": "number",
    "get_block_headers(start)": "bytes",
    "get_block_bodies": "list",
    "get_receipts": "list",
    "get_block_access_lists": "list",
    "Chain(genesis_hash)": "bytes",
}


def connect(node: Any = NODE, **options: Any) -> None:
    """A dial that fails at once."""
    with suppress(p2p.ConnectError):
        p2p.connect(node, name="test", version=1, length=8, timeout=0, **options)


def new_network(**options: Any) -> object:
    return p2p.networks.Network("own", 1, CHAIN, **options)


def refusal(call: Callable[[Any], object], value: object) -> ArgumentError | None:
    """The refusal of a value; None if it is taken. Any other error of ours fails the test."""
    try:
        call(value)
    except ArgumentError as error:
        return error
    except (p2p.Timeout, p2p.PipeClosed, FileNotFoundError):
        return None
    return None


@pytest.mark.parametrize("name", CALLS)
def test_value_of_another_type_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    taken, call = CALLS[name]
    refusals = {word: refusal(call, value) for word, value in VALUES.items()}
    assert {word for word, error in refusals.items() if error is None} == set(taken)
    met = [(word, error) for word, error in refusals.items() if error]
    unfit = [word for word, error in met if not isinstance(error, TypeError)]
    assert unfit == ([UNFIT[name]] if name in UNFIT else [])
    assert all(isinstance(error, ValueError) for _, error in met)


#: What makes the value unfit where its type does not, and then stands in the error alone.
OTHER_FORMS = re.compile(
    r"is not a network|has 32 bytes, not|public key has|private key has"
    r"|not an? (un)?compressed|record entry|missing prefix|must be callable|keys of the record"
)


@pytest.mark.parametrize("name", CALLS)
def test_refusal_names_argument_wanted_and_given(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    taken, call = CALLS[name]
    for word in VALUES.keys() - set(taken):
        text = str(refusal(call, VALUES[word]))
        if not OTHER_FORMS.search(text):
            assert re.match(r"[\w ]+: wanted .+; got .+", text), (word, text)
            assert type(VALUES[word]).__name__ in text


def test_list_in_place_of_an_iterator_is_gone_through_once() -> None:
    """A list was begun anew for each node."""
    nodes = p2p.enode.filter_nodes([NODE, NODE], lambda node: True)  # type: ignore[arg-type]
    assert list(itertools.islice(nodes, 5)) == [NODE, NODE]


def test_key_in_another_form_is_not_shown() -> None:
    wanted = r"^private key: wanted bytes; got \w+(; bytes.fromhex.*)?$"
    for secret in (KEY.to_bytes().hex(), list(KEY.to_bytes()), 2**255):
        with pytest.raises(ArgumentTypeError, match=wanted):
            p2p.PrivateKey.from_bytes(secret)  # type: ignore[arg-type]


#: By option of a server: the values that it takes, and an unfit one of the right type.
OPTIONS: dict[str, tuple[Collection[str], object]] = {
    "private_key": (["key"], None),
    "name": (["text"], ""),
    "max_peers": (["number"], -1),
    "max_pending_peers": (["number"], -1),
    "dial_ratio": (["number"], -1),
    "static_nodes": (["list", "nodes", "mapping", "iterator", "pipe"], None),
    "trusted_nodes": (["list", "nodes", "mapping", "iterator", "pipe"], None),
    "network": (["none"], None),
    "underlay": (["none"], None),
    "bootstrap_nodes": (
        ["none", "list", "nodes", "mapping", "iterator", "pipe"],
        [p2p.Node.from_parts(KEY.public_key)],
    ),
    "net_restrict": (["none", "list of networks"], "x"),
    "own_networks": (["none", "list of networks"], "0.0.0.0/0"),
    "redial_pause_s": (["number", "float"], 0),
    "protocols": (["list", "mapping", "iterator", "pipe"], 2 * [p2p.Protocol("test", 1, 1)]),
    "listen_addr": (["none"], "x"),
    "disc_addr": (["none"], "x"),
    "nat": ([], "x"),
    "advertise": (["list", "mapping", "iterator", "pipe"], "x"),
    "discovery_v4": (["none", "true"], None),
    "discovery_v5": (["none", "true"], None),
    "bootstrap_nodes_v5": (
        ["none", "list", "nodes", "mapping", "iterator", "pipe"],
        [p2p.Node.from_parts(KEY.public_key)],
    ),
    "dns_discovery": (["none", "list", "mapping", "iterator", "pipe"], ["enrtree://x"]),
    "discovery_topics": ([], None),
    "lan_discovery": (["true"], None),
    "no_discovery": (["true"], None),
    "node_database": (["none", "text"], None),
    "discovery_version": (["number"], -1),
    "dialer": (["none"], None),
    "no_dial": (["true"], None),
    "candidate_filter": (["none", "function"], None),
    "key_log": (["none", "text"], ""),
    "observer": (["none", "list", "mapping", "iterator", "pipe"], None),
    "enable_msg_events": (["true"], None),
    "metrics_addr": (["none"], "x"),
    "monitor_addr": (["none"], "x"),
    "monitor_public": (["true"], None),
    "max_upload": (["none"], 5),
    "max_download": (["none"], 5),
    "max_upload_per_peer": (["none"], 5),
    "max_download_per_peer": (["none"], 5),
    "logger": (["none"], None),
    "clock": ([], None),
    "accept_pre_eip8": (["true"], None),
}
#: The same by option of a protocol.
PROTOCOL_OPTIONS: dict[str, tuple[Collection[str], object]] = {
    "name": (["text"], ""),
    "version": (["number"], -1),
    "length": (["number"], 0),
    "run": (["none", "function"], None),
    "node_info": (["none", "function"], None),
    "peer_info": (["none", "function"], None),
    "attributes": (["mapping"], None),
    "dial_candidates": (
        ["none", "text", "bytes", "tuple", "list", "mapping", "nodes", "iterator", "pipe"],
        None,
    ),
    "topic": (["none", "text"], ""),
}
OF_OPTIONS = {**VALUES, "list of networks": NETLIST}
#: Refused for what they hold, not for their type.
HELD = {"listen_addr": ["text"], "disc_addr": ["text"], "net_restrict": ["text"]}
HELD["own_networks"] = HELD["nat"] = HELD["advertise"] = ["text"]
HELD["metrics_addr"] = HELD["monitor_addr"] = ["text"]
_WAYS = ("upload", "download")
HELD |= {f"max_{way}{each}": ["number"] for way in _WAYS for each in ("", "_per_peer")}
HELD |= {"discovery_topics": ["true"], "topic": ["bytes"]}


def new_server(**options: Any) -> object:
    return p2p.Server(**{"private_key": KEY, "name": "test", "max_peers": 5, **options})


def new_protocol(**options: Any) -> object:
    return p2p.Protocol(**{"name": "test", "version": 1, "length": 1, **options})


@pytest.mark.parametrize(
    ("make", "option", "taken", "unfit"),
    [(new_server, name, *OPTIONS[name]) for name in OPTIONS]
    + [(new_protocol, name, *PROTOCOL_OPTIONS[name]) for name in PROTOCOL_OPTIONS],
)
def test_wrong_option_is_refused(
    make: Callable[..., object], option: str, taken: Collection[str], unfit: object
) -> None:
    def call(value: object) -> object:
        return make(**{option: value})

    refusals = {word: refusal(call, value) for word, value in OF_OPTIONS.items()}
    assert {word for word, error in refusals.items() if error is None} == set(taken)
    met = [(word, error) for word, error in refusals.items() if error]
    assert all(isinstance(error, p2p.ConfigError) for _, error in met)
    assert [word for word, error in met if not isinstance(error, TypeError)] == HELD.get(option, [])
    if unfit is not None:
        error = refusal(call, unfit)
        assert isinstance(error, p2p.ConfigError) and not isinstance(error, TypeError)


def test_each_option_is_in_the_sweep() -> None:
    for kind, options in ((p2p.Server, OPTIONS), (p2p.Protocol, PROTOCOL_OPTIONS)):
        assert set(options) == set(inspect.signature(kind).parameters)


@pytest.mark.parametrize("value", [5, None, "x", ["x"]], ids=repr)
def test_wrong_arguments_of_a_running_server_are_refused(nodes: Nodes, value: Any) -> None:
    here, _there = nodes.pair()
    server, peer = here.server, here.peer
    calls: list[Callable[[], object]] = [
        lambda: server.add_peer(value),
        lambda: server.remove_peer(value),
        lambda: server.add_trusted_peer(value),
        lambda: server.remove_trusted_peer(value),
        lambda: server.connect(value),
        lambda: server.dial_attempts(value),
        lambda: server.set_entry([value], 1),  # type: ignore[arg-type]
        lambda: server.delete_entry([value]),  # type: ignore[arg-type]
        lambda: server.subscribe_events([value]),  # type: ignore[arg-type]
        lambda: server.stop([value]),  # type: ignore[arg-type]
        lambda: server.connect(server.self, [value]),  # type: ignore[arg-type]
        lambda: server.accept([value]),  # type: ignore[arg-type]
        lambda: peer.disconnect([value]),  # type: ignore[arg-type]
        lambda: peer.wait_closed([value]),  # type: ignore[arg-type]
        lambda: peer.running_cap("test", 1),  # type: ignore[arg-type]
        lambda: peer.running_cap([value], [1]),  # type: ignore[arg-type]
        lambda: peer.open([value]),  # type: ignore[arg-type]
        lambda: peer.open("test", [value]),  # type: ignore[arg-type]
        lambda: here.rw.read_msg([value]),
        lambda: here.rw.write_msg(value),
        lambda: here.rw.send([value], 0),
        lambda: here.rw.close([value]),
    ]
    for call in calls:
        with pytest.raises(ArgumentTypeError, match="want"):
            call()
    assert server.peers == [peer]


def test_unfit_arguments_of_a_running_server_are_refused(nodes: Nodes) -> None:
    here, _there = nodes.pair()
    server, peer, not_a_number = here.server, here.peer, float("nan")
    calls: list[Callable[[], object]] = [
        lambda: server.connect(server.self, -1),
        lambda: server.connect(server.self, not_a_number),
        lambda: server.stop(not_a_number),
        lambda: server.stop(float("inf")),
        lambda: server.accept(not_a_number),
        lambda: server.subscribe_events(0),
        lambda: server.set_entry("udp", 1),
        lambda: server.set_entry("key", bytes(300)),
        lambda: server.delete_entry("ip"),
        lambda: peer.disconnect(-1),
        lambda: peer.open("another"),
        lambda: here.rw.read_msg(not_a_number),
        lambda: here.rw.send(8, 0),
        lambda: here.rw.close(-1),
    ]
    for call in calls:
        with pytest.raises(ArgumentError) as refused:
            call()
        assert not isinstance(refused.value, TypeError)
    assert server.peers == [peer]
