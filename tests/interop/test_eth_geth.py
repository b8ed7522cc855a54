"""``p2p.eth`` with geth, go-ethereum's client: both dial, in every version of eth and snap.

What it answers is compared with what its RPC says, and with the chain file; what it announces, and
how it refuses a Status of another chain, is decoded. See `geth.py`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import p2p
from p2p.crypto import keccak256
from p2p.eth import (
    ETH69,
    ETH72,
    SNAP1,
    SNAP2,
    AccessLists,
    AccountRange,
    BlockBody,
    BlockHeaders,
    BlockRangeUpdate,
    ByteCodes,
    Chain,
    Client,
    ForkIDRejected,
    GenesisMismatch,
    GetAccessLists,
    GetAccountRange,
    GetBlockHeaders,
    GetByteCodes,
    GetStorageRanges,
    GetTrieNodes,
    Header,
    HeadersQuery,
    LegacyTransaction,
    NetworkMismatch,
    NewPooledTransactionHashes68,
    NewPooledTransactionHashes72,
    Status,
    StatusRejected,
    StorageRanges,
    Transactions,
    TrieNodes,
    check_status,
    handshake,
    make_status,
    transaction_hash,
    transaction_type,
)
from p2p.eth.limits import MAX_MESSAGE_SIZE
from p2p.eth.versions import messages_of
from p2p.messages import Messages, TypedReadWriter
from p2p.networks import Network
from p2p.rlp import decode, encode
from p2p.testing import PATIENCE_S
from tests.kit.tcpdump import captured, needs_tcpdump
from tests.kit.waiting import eventually

from .geth import LAST, PROGRAM, Geth, blocks, keys
from .program import BUILD

ROOT = Path(__file__).resolve().parents[2]
VERSIONS = [69, 70, 71, 72]
every_version = pytest.mark.parametrize("version", VERSIONS)

StartGeth = Callable[..., Geth]


@pytest.fixture(scope="module")
def geth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Geth]:
    """A geth with the whole chain, for the tests that change nothing of it."""
    running = _start(tmp_path_factory.mktemp("geth"))
    yield running
    running.stop()


@pytest.fixture
def start_geth(tmp_path: Path) -> Iterator[StartGeth]:
    """Starts a geth for one test."""
    with ExitStack() as stack:

        def start(height: int = LAST) -> Geth:
            running = _start(tmp_path, height)
            stack.callback(running.stop)
            return running

        yield start


def _start(folder: Path, height: int = LAST) -> Geth:
    if not PROGRAM.exists():
        pytest.fail("geth is not built; run tests/interop/build.sh go")
    return Geth(folder, height)


@contextmanager
def connected(geth: Geth, version: int = 69, **options: Any) -> Iterator[Client]:
    """Calls to geth, after the handshake."""
    length = messages_of(version).length
    with p2p.connect(geth.node, name="eth", version=version, length=length) as rw:
        handshake(rw, make_status(geth.network, version), geth.network.chain)
        yield Client(rw, version, timeout=PATIENCE_S, **options)


@contextmanager
def serving(*protocols: p2p.Protocol, **options: Any) -> Iterator[p2p.Server]:
    server = p2p.Server(
        private_key=p2p.generate_key(),
        name="our node",
        max_peers=5,
        protocols=list(protocols),
        **options,
    )
    with server:
        yield server


def test_vectors_are_what_go_ethereum_encodes() -> None:
    program = BUILD / "ethvectors"
    out = subprocess.run([program], capture_output=True, check=True, text=True).stdout
    path = ROOT / "tests" / "testdata" / "eth_messages.json"
    known = json.loads(path.read_text(encoding="utf-8"))
    del known["source"]
    assert json.loads(out) == known


class TestCalls:
    @every_version
    def test_status_tells_the_head_and_the_forks(self, geth: Geth, version: int) -> None:
        length = messages_of(version).length
        with p2p.connect(geth.node, name="eth", version=version, length=length) as rw:
            theirs = handshake(rw, make_status(geth.network, version), geth.network.chain)
        head = geth.block(LAST)
        assert theirs.version == version
        assert theirs.latest == LAST
        assert theirs.latest_hash.hex() == head["hash"][2:]
        assert theirs.fork_id == geth.network.chain.fork_id(LAST, int(head["timestamp"], 16))

    @every_version
    def test_headers_are_those_of_the_chain(self, geth: Geth, version: int) -> None:
        with connected(geth, version) as client:
            headers = client.get_block_headers(0, 1024)
            assert len(headers) == LAST + 1
            assert headers[0].hash == geth.network.chain.genesis_hash
            assert headers[1:] == [decode(decode_head(block), Header) for block in blocks()]
            assert client.get_block_headers(headers[5].hash, 2) == headers[5:7]
            assert client.get_block_headers(9, 3, skip=2, reverse=True) == headers[9:0:-3]
            assert client.get_block_headers(bytes([1]) * 32) == []
            assert client.get_block_headers(LAST + 1) == []
        for number in (1, 100, LAST):
            assert headers[number].hash.hex() == geth.block(number)["hash"][2:]
        amsterdam = headers[-1]
        assert amsterdam.slot_number == int(geth.block(LAST)["slotNumber"], 16)

    @every_version
    def test_bodies_are_those_of_the_chain(self, geth: Geth, version: int) -> None:
        with connected(geth, version) as client:
            headers = client.get_block_headers(1, LAST)
            bodies = client.get_block_bodies(headers)
        assert len(bodies) == LAST
        whole = [decode(block, list) for block in blocks()]
        assert [decode(encode(body), list) for body in bodies] == [parts[1:] for parts in whole]
        kinds = {transaction_type(tx) for body in bodies for tx in body.transactions}
        assert kinds >= {0, 1, 2, 3, 4}  # checked against the headers, whatever they contain
        self.compare_hashes(geth, headers, bodies)

    def compare_hashes(self, geth: Geth, headers: list[Header], bodies: list[BlockBody]) -> None:
        busiest = max(range(LAST), key=lambda index: len(bodies[index].transactions))
        told = geth.block(headers[busiest].number)["transactions"]
        found = [transaction_hash(tx).hex() for tx in bodies[busiest].transactions]
        assert found == [text[2:] for text in told]

    @every_version
    def test_receipts_are_those_of_the_blocks(self, geth: Geth, version: int) -> None:
        with connected(geth, version) as client:
            headers = client.get_block_headers(LAST - 99, 100)
            lists = client.get_receipts(headers)
        assert len(lists) == 100
        told = geth.rpc("eth_getBlockReceipts", hex(LAST))
        assert [receipt.cumulative_gas for receipt in lists[-1]] == [
            int(receipt["cumulativeGasUsed"], 16) for receipt in told
        ]
        assert [log.address.hex() for receipt in lists[-1] for log in receipt.logs] == [
            log["address"][2:] for receipt in told for log in receipt["logs"]
        ]

    def test_receipts_of_10_mib_come_in_parts(self, geth: Geth) -> None:
        with connected(geth, 70) as client:
            big = client.get_block_headers(self.biggest(geth))
            (receipts,) = client.get_receipts(big)  # in parts, or it would be refused
        assert sum(len(encode(receipt)) for receipt in receipts) > MAX_MESSAGE_SIZE
        with connected(geth, 69) as client, pytest.raises(p2p.DecodeError, match="more than"):
            client.get_receipts(big)

    def biggest(self, geth: Geth) -> int:
        """The number of the block with the most receipts, of which the chain has one."""
        used = {number: int(geth.block(number)["gasUsed"], 16) for number in range(LAST)}
        return max(used, key=lambda number: used[number])

    @pytest.mark.parametrize("version", [71, 72])
    def test_access_lists_are_those_of_the_blocks(self, geth: Geth, version: int) -> None:
        with connected(geth, version) as client:
            old, new = client.get_block_headers(1), client.get_block_headers(LAST - 9, 10)
            lists = client.get_block_access_lists(new)
            assert all(access_list for access_list in lists)
            assert client.get_block_access_lists(old) == [None]


def decode_head(block: bytes) -> bytes:
    """The encoding of a block's header."""
    return encode(decode(block, list)[0])


class TestRefusals:
    """Another chain: our error, and what geth does when we do not look."""

    @pytest.fixture(params=["network", "genesis", "forks"])
    def other(self, request: pytest.FixtureRequest, geth: Geth) -> tuple[Network, type[Exception]]:
        ours = geth.network
        others: dict[str, tuple[Network, type[StatusRejected]]] = {
            "network": (replace(ours, network_id=1), NetworkMismatch),
            "genesis": (replace(ours, chain=Chain(bytes([1]) * 32)), GenesisMismatch),
            "forks": (
                replace(ours, chain=Chain(ours.chain.genesis_hash, fork_times=[5])),
                ForkIDRejected,
            ),
        }
        return others[request.param]

    def test_we_refuse_geth(self, geth: Geth, other: tuple[Network, type[Exception]]) -> None:
        network, error = other
        with p2p.connect(geth.node, name="eth", version=69, length=ETH69.length) as rw:
            # Given our Status first, geth may leave without its own.
            theirs = TypedReadWriter(rw, ETH69).expect(Status, PATIENCE_S)
        with pytest.raises(error):
            check_status(theirs, make_status(network, 69), network.chain)

    def test_geth_refuses_us(self, geth: Geth, other: tuple[Network, type[Exception]]) -> None:
        network, _ = other
        with p2p.connect(geth.node, name="eth", version=69, length=ETH69.length) as rw:
            TypedReadWriter(rw, ETH69).write(make_status(network, 69))
            with pytest.raises(p2p.PeerDisconnected) as end:
                while True:
                    rw.read_msg(PATIENCE_S)
        assert end.value.by_remote
        assert end.value.disc_reason is p2p.DiscReason.SUBPROTOCOL_ERROR


class TestItDials:
    @every_version
    def test_geth_dials_us(self, geth: Geth, version: int) -> None:
        protocol = p2p.messages.protocol(messages_of(version))
        with serving(protocol, listen_addr="127.0.0.1:0") as server:
            geth.dial(server.self)
            peer = server.accept(PATIENCE_S)
            assert peer.inbound
            with peer.open("eth") as rw:
                handshake(rw, make_status(geth.network, version), geth.network.chain)
                headers = Client(rw, version).get_block_headers(10, 11, reverse=True)
                assert headers[-1].hash == geth.network.chain.genesis_hash
                assert versions_of(geth, server)["eth"] == version
                geth.stop_dialing(server.self)

    def test_the_highest_version_that_both_have_is_used(self, geth: Geth) -> None:
        protocols = [p2p.messages.protocol(messages_of(version)) for version in VERSIONS]
        with serving(*protocols, listen_addr=None) as server:
            peer = server.connect(geth.node)
            with peer.open("eth") as rw:
                handshake(rw, make_status(geth.network, 72), geth.network.chain)
                assert len(Client(rw, 72).get_block_headers(0, 20)) == 20
                assert versions_of(geth, server)["eth"] == 72


def versions_of(geth: Geth, server: p2p.Server) -> dict[str, int]:
    """The versions of the protocols that geth runs with a server of ours."""
    (peer,) = [p for p in geth.rpc("admin_peers") if p["id"] == server.self.id.hex()]
    return {name: info["version"] for name, info in peer["protocols"].items()}


class TestAnnouncements:
    def test_an_update_of_the_range_is_decoded(self, start_geth: StartGeth) -> None:
        geth = start_geth(500)
        heard: list[object] = []
        with connected(geth, on_message=heard.append) as client:
            geth.import_blocks(LAST)
            while not heard:
                (head,) = client.get_block_headers(LAST)
        assert heard == [BlockRangeUpdate(0, LAST, head.hash)]

    def test_transactions_come_whole_and_by_hash(self, start_geth: StartGeth) -> None:
        geth = start_geth()
        sent = sign(geth, keys()[0])
        first: list[object] = []
        with connected(geth, on_message=first.append) as client:
            client.get_block_headers(0)  # answered: it has us as a peer by now
            geth.rpc("eth_sendRawTransaction", "0x" + encode(sent).hex())
            while not first:  # to a few peers go whole transactions, and we are the only one
                client.get_block_headers(0)
        assert first == [Transactions([sent])]
        kinds = {71: NewPooledTransactionHashes68, 72: NewPooledTransactionHashes72}
        for version, kind in kinds.items():
            heard: list[Any] = []
            with connected(geth, version, on_message=heard.append) as client:
                while not heard:
                    client.get_block_headers(0)
                (announced,) = heard
                assert isinstance(announced, kind)
                assert announced.hashes == [transaction_hash(sent)]
                assert announced.sizes == [len(encode(sent))]
                assert announced.types == b"\x00"
                assert client.get_pooled_transactions(announced.hashes) == [sent]


def sign(geth: Geth, key: p2p.PrivateKey) -> LegacyTransaction:
    """A transaction of an account that has sent none, signed for the chain (EIP-155)."""
    fields = (0, 10**9, 21_000, bytes([1]) * 20, 1, b"")
    signature = key.sign(keccak256(encode([*fields, geth.chain_id, 0, 0])))
    r, s = (int.from_bytes(signature[at : at + 32], "big") for at in (0, 32))
    return LegacyTransaction(*fields, geth.chain_id * 2 + 35 + signature[64], r, s)


class Asker(TypedReadWriter[Any]):
    """A read-writer of snap that is called with a request and returns the response."""

    def __call__(self, message: Any) -> Any:
        self.write(message)
        return self.read(PATIENCE_S)


class TestSnap:
    """The state of the head: asked for over snap, beside eth, as its specification wants."""

    @pytest.fixture(params=[SNAP1, SNAP2], ids=["snap1", "snap2"])
    def ask(self, request: pytest.FixtureRequest, geth: Geth) -> Iterator[Asker]:
        """Sends a request of snap to geth and returns the response."""
        messages: Messages[Any] = request.param
        protocols = [p2p.messages.protocol(ETH69), p2p.messages.protocol(messages)]
        with serving(*protocols, listen_addr=None) as server:
            peer = server.connect(geth.node)
            with peer.open("eth") as eth, peer.open("snap") as rw:
                handshake(eth, make_status(geth.network, 69), geth.network.chain)
                yield Asker(rw, messages)

    def root(self, geth: Geth) -> bytes:
        return bytes.fromhex(geth.block(LAST)["stateRoot"][2:])

    def accounts(self, geth: Geth, ask: Asker) -> AccountRange:
        request = GetAccountRange(1, self.root(geth), bytes(32), b"\xff" * 32, 2**20)
        response = ask(request)
        assert isinstance(response, AccountRange)
        assert response.request_id == 1
        return response

    def test_all_accounts_are_in_a_range(self, geth: Geth, ask: Asker) -> None:
        response = self.accounts(geth, ask)
        by_hash = {entry.hash: entry.account for entry in response.accounts}
        assert len(by_hash) > 10
        for key in keys():
            address = keccak256(key.public_key.to_bytes())[-20:]
            balance = int(geth.rpc("eth_getBalance", "0x" + address.hex(), "latest"), 16)
            assert by_hash[keccak256(address)].balance == balance
        assert keccak256(response.proof[0]) == self.root(geth)

    def test_slots_and_code_of_a_contract(self, geth: Geth, ask: Asker) -> None:
        contracts = [e for e in self.accounts(geth, ask).accounts if e.account.slim_storage_root]
        request = GetStorageRanges(2, self.root(geth), [contracts[0].hash], b"", b"", 2**20)
        slots = ask(request)
        assert isinstance(slots, StorageRanges)
        ((first, *_),) = slots.slots
        assert decode(first.data, bytes)
        codes = ask(GetByteCodes(3, [contracts[0].account.code_hash], 2**20))
        assert isinstance(codes, ByteCodes)
        assert [keccak256(code) for code in codes.codes] == [contracts[0].account.code_hash]

    def test_a_state_that_is_not_there_is_answered_by_an_empty_range(
        self, geth: Geth, ask: Asker
    ) -> None:
        request = GetAccountRange(1, bytes([1]) * 32, bytes(32), b"\xff" * 32, 2**20)
        assert ask(request) == AccountRange(1, [], [])

    def test_trie_nodes_or_access_lists(self, geth: Geth, ask: Asker) -> None:
        if ask.messages.version == 1:
            response = ask(GetTrieNodes(4, self.root(geth), [[b""]], 2**20))
            assert isinstance(response, TrieNodes)
            assert [keccak256(node) for node in response.nodes] == [self.root(geth)]
        else:
            block = geth.block(LAST)
            response = ask(GetAccessLists(4, [bytes.fromhex(block["hash"][2:])], 2**20))
            assert isinstance(response, AccessLists)
            (access_list,) = response.access_lists
            assert keccak256(encode(access_list)).hex() == block["blockAccessListHash"][2:]


@needs_tcpdump
def test_a_capture_has_the_messages_of_both_by_name(geth: Geth, tmp_path: Path) -> None:
    capture = pytest.importorskip("p2p.capture")
    path, keylog = tmp_path / "file.pcap", tmp_path / "keys"
    protocols = [p2p.messages.protocol(ETH72), p2p.messages.protocol(SNAP1)]
    with (
        captured(path, geth.node.tcp),
        serving(*protocols, listen_addr=None, key_log=str(keylog)) as server,
    ):
        peer = server.connect(geth.node)
        with peer.open("eth") as eth, peer.open("snap") as rw:
            ours = make_status(geth.network, 72)
            theirs = handshake(eth, ours, geth.network.chain)
            headers = Client(eth, 72).get_block_headers(5, 3)
            snap = TypedReadWriter(rw, SNAP1)
            snap.write(GetByteCodes(1, [bytes(32)], 100))
            codes = snap.expect(ByteCodes, PATIENCE_S)

    def seen() -> list[object]:
        events = capture.read(path, keylog=keylog, protocols=[ETH72, SNAP1])
        return [event.value for event in events if getattr(event, "cap", None) is not None]

    expected = [
        *(ours, theirs, GetBlockHeaders(1, HeadersQuery(5, 3, 0, False)), BlockHeaders(1, headers)),
        *(GetByteCodes(1, [bytes(32)], 100), codes),
    ]
    eventually(lambda: len(seen()) >= len(expected), "all messages are in the capture")
    assert sorted(map(repr, seen())) == sorted(map(repr, expected))


class TestDocuments:
    def test_example_prints_the_newest_block(self, geth: Geth) -> None:
        head, chain = geth.block(LAST), geth.network.chain
        times = ",".join(str(time) for time in chain.fork_times)
        network = f"{geth.chain_id}:{chain.genesis_hash.hex()}:{times}"
        command = [sys.executable, ROOT / "examples" / "eth_status.py", geth.node.url]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        out = subprocess.run(
            [*command, "--network", network], capture_output=True, check=True, text=True, env=env
        ).stdout
        name, status, block, content = out.splitlines()
        assert re.fullmatch(r"Geth/v[^ ]+ speaks eth/72", name)
        assert status.endswith(f", blocks 0 to {LAST}")
        assert block.endswith(f"1970-01-01 01:40:00 UTC, {head['hash'][:14]}...")
        used, limit = int(head["gasUsed"], 16), int(head["gasLimit"], 16)
        assert content.startswith(f"{len(head['transactions'])} transactions, ")
        assert content.endswith(f", {used:,} of {limit:,} gas")

    def test_how_to_reads_the_state(self, geth: Geth, capsys: pytest.CaptureFixture[str]) -> None:
        page = (ROOT / "docs" / "howto" / "ethereum-client.md").read_text(encoding="utf-8")
        (program,) = [
            text for text in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "SNAP1" in text
        ]
        root = bytes.fromhex(geth.block(LAST)["stateRoot"][2:])
        names = {"p2p": p2p, "URL": geth.node.url, "network": geth.network, "state_root": root}
        exec(program, names)
        shown = capsys.readouterr().out.splitlines()
        address = keccak256(keys()[0].public_key.to_bytes())[-20:]
        balance = int(geth.rpc("eth_getBalance", "0x" + address.hex(), "latest"), 16)
        assert f"{keccak256(address).hex()} {balance}" in shown
