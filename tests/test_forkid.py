"""Fork identifiers: go-ethereum's tables, EIP-2124's examples, records of any content."""

from __future__ import annotations

import json
from itertools import chain as joined
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import p2p
from p2p.enode import Raw, filter_nodes, iter_nodes
from p2p.errors import ArgumentError, ArgumentTypeError
from p2p.eth import Chain, Compatibility, ForkID, eth_entry, fork_id_of, node_filter
from p2p.networks import HOODI, MAINNET, SEPOLIA
from p2p.rlp import decode, encode

DATA: dict[str, Any] = json.loads(
    (Path(__file__).parent / "testdata" / "forkid.json").read_text(encoding="utf-8")
)
GENESIS = MAINNET.genesis_hash
CHAINS = {
    "mainnet": MAINNET.chain,
    "blocks": Chain(GENESIS, MAINNET.chain.fork_blocks),
    "sepolia": SEPOLIA.chain,
    "hoodi": HOODI.chain,
    **{
        name: Chain(bytes.fromhex(digits), *rest)
        for name, (digits, *rest) in DATA["chains"].items()
    },
}
KEY = p2p.PrivateKey.from_bytes(bytes(range(1, 33)))
NEWEST = 2_000_000_000
MAX = 2**64 - 1

#: By go-ethereum's error.
VERDICTS = {
    "": {
        Compatibility.SAME_FORKS,
        Compatibility.REMOTE_SYNCING,
        Compatibility.LOCAL_SYNCING,
    },
    "remote stale": {Compatibility.REMOTE_STALE},
    "local incompatible or stale": {Compatibility.UNKNOWN_FORK, Compatibility.OTHER_CHAIN},
}


def fork_id(digits: str, following: int) -> ForkID:
    return ForkID(bytes.fromhex(digits), following)


@pytest.mark.parametrize(
    ("name", "time", "block"),
    [
        ("mainnet", 0, 0),
        ("mainnet", 1_681_338_454, 0),  # the block is not known
        ("mainnet", 1_681_338_455, 15_050_000),
        ("mainnet", NEWEST, 15_050_000),
        ("blocks", NEWEST, 0),
        ("sepolia", 1_706_655_072, 1_735_371),
        ("hoodi", 1_742_999_831, 0),
        ("hoodi", 1_742_999_832, 0),
    ],
)
def test_fork_id_at_a_time_is_that_of_a_node_in_sync(name: str, time: int, block: int) -> None:
    chain = CHAINS[name]
    is_known = time >= min(chain.fork_times, default=MAX)
    assert chain.fork_id_at(time) == chain.fork_id(block, time if is_known else 0)


@pytest.mark.parametrize("head", range(len(SEPOLIA.chain.fork_times) + 1))
def test_fork_id_at_a_time_suits_nodes_at_any_head(head: int) -> None:
    chain, now = SEPOLIA.chain, SEPOLIA.chain.fork_times[2]
    block, time = 0, 0
    if head:
        block, time = max(chain.fork_blocks), chain.fork_times[head - 1]
    assert chain.check(chain.fork_id_at(now), block, time).is_compatible


@pytest.mark.parametrize("name", DATA["creation"])
def test_fork_id_at_each_head_is_that_of_go_ethereum(name: str) -> None:
    cases = DATA["creation"][name]
    found = [CHAINS[name].fork_id(block, time) for block, time, _, _ in cases]
    assert found == [fork_id(digits, following) for _, _, digits, following in cases]


@pytest.mark.parametrize(
    "name, block, time, digits, following, error",
    [*joined(DATA["validation"], DATA["validation_eip_6122"])],
)
def test_remote_is_judged_as_by_go_ethereum(
    name: str, block: int, time: int, digits: str, following: int, error: str
) -> None:
    verdict = CHAINS[name].check(fork_id(digits, following), block, time)
    assert verdict in VERDICTS[error]
    assert verdict.is_compatible == (error == "")


A, B, C = 100, 200, 300
#: The table "Stale software examples" of EIP-2124: our forks, our head, the forks that the remote
#: has passed, its next fork, the verdict.
EXAMPLES = [
    ([A], 150, [A], 0, Compatibility.SAME_FORKS),
    ([A], 150, [A], B, Compatibility.SAME_FORKS),
    ([A], 250, [A], B, Compatibility.UNKNOWN_FORK),
    ([A, B], 150, [A], 0, Compatibility.SAME_FORKS),
    ([A, B], 150, [A], B, Compatibility.SAME_FORKS),
    ([A, 210], 190, [A], B, Compatibility.SAME_FORKS),
    ([A, 210], 205, [A], B, Compatibility.UNKNOWN_FORK),
    ([A, B], 250, [A], B, Compatibility.REMOTE_SYNCING),
    ([A, B, C], 350, [A], B, Compatibility.REMOTE_SYNCING),
    ([A, B], 150, [A, B], 0, Compatibility.LOCAL_SYNCING),
    ([A, B, C], 150, [A, B], 0, Compatibility.LOCAL_SYNCING),
    ([A], 150, [A, B], 0, Compatibility.OTHER_CHAIN),
    ([A, B], 150, [A, B, C], 0, Compatibility.OTHER_CHAIN),
    ([A, B], 250, [A], 0, Compatibility.REMOTE_STALE),
]


@pytest.mark.parametrize("as_times", [False, True], ids=["blocks", "times"])
@pytest.mark.parametrize("ours, head, theirs, following, verdict", EXAMPLES)
def test_examples_of_eip_2124(
    ours: list[int],
    head: int,
    theirs: list[int],
    following: int,
    verdict: Compatibility,
    as_times: bool,
) -> None:
    local = Chain(GENESIS, (), ours) if as_times else Chain(GENESIS, ours)
    block, time = (0, head) if as_times else (head, 0)
    passed = Chain(GENESIS, theirs).fork_id(MAX, MAX).hash
    assert local.check(ForkID(passed, following), block, time) is verdict


def test_next_fork_of_a_remote_may_be_a_time_while_ours_are_blocks() -> None:
    ours = MAINNET.chain.fork_id(15_050_000, 0)
    remote = ForkID(ours.hash, 1_660_000_000)
    check = MAINNET.chain.check
    assert check(remote, 15_050_000, 1_659_999_999) is Compatibility.SAME_FORKS
    assert check(remote, 15_050_000, 1_660_000_000) is Compatibility.UNKNOWN_FORK
    blocks = CHAINS["blocks"]
    assert blocks.check(remote, 15_050_000, 1_660_000_000) is Compatibility.UNKNOWN_FORK


def test_a_number_of_a_block_is_not_taken_for_a_time() -> None:
    early = ForkID(MAINNET.chain.fork_id(0, 0).hash, 1_438_269_973)
    assert MAINNET.chain.check(early, 0, NEWEST) is Compatibility.SAME_FORKS


def test_forks_by_time_wait_for_those_by_block() -> None:
    chain = Chain(GENESIS, [10], [20])
    assert chain.fork_id(9, 25).next == 10
    assert chain.fork_id(10, 19).next == 20
    assert chain.fork_id(10, 20).next == 0


def test_forks_of_the_genesis_block_do_not_count() -> None:
    """go-ethereum's TestTimeBasedForkInGenesis."""
    time = 1_690_475_657
    for forks in ([time - 1, time + 1], [time, time + 1], [time + 1, time + 2]):
        chain = Chain(GENESIS, [0, 0], forks, genesis_time=time)
        assert chain.fork_id(0, time) == ForkID(Chain(GENESIS).fork_id(0, 0).hash, time + 1)


def test_forks_are_sorted_and_each_counts_once() -> None:
    chain = Chain(GENESIS, [5, 0, 3, 5], range(7, 9))
    assert (chain.fork_blocks, chain.fork_times) == ((3, 5), (7, 8))
    assert chain == Chain(GENESIS, (3, 5), (7, 8))
    assert hash(chain) == hash(Chain(bytearray(GENESIS), (3, 5), (7, 8)))


@given(
    st.lists(st.integers(0, 50)), st.lists(st.integers(0, 50)),
    st.integers(0, 60), st.integers(0, 60), st.integers(0, 60), st.integers(0, 60),
)  # fmt: skip
def test_nodes_of_one_chain_are_compatible_at_any_heads(
    blocks: list[int], times: list[int], block: int, time: int, their_block: int, their_time: int
) -> None:
    chain = Chain(GENESIS, blocks, times)
    theirs = chain.fork_id(their_block, their_time)
    assert chain.check(theirs, block, time).is_compatible


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: ForkID(bytes(3), 0), "hash: wanted 4 bytes"),
        (lambda: ForkID(bytes(4), -1), r"next: wanted an int from 0 to 2\*\*64 - 1"),
        (lambda: ForkID(bytes(4), 2**64), "next: wanted"),
        (lambda: Chain(bytes(31)), "genesis_hash: wanted 32 bytes"),
        (lambda: Chain(GENESIS, [1, -1]), "fork_blocks: wanted a sequence of numbers"),
        (lambda: Chain(GENESIS, (), [2**64]), "fork_times: wanted a sequence of numbers"),
        (lambda: Chain(GENESIS, genesis_time=-1), "genesis_time: wanted"),
        (lambda: MAINNET.chain.fork_id(-1, 0), "head_block: wanted"),
        (lambda: MAINNET.chain.fork_id(0, 2**64), "head_time: wanted"),
    ],
)
def test_refusal_names_the_argument(call: Any, text: str) -> None:
    with pytest.raises(ArgumentError, match=text) as met:
        call()
    assert not isinstance(met.value, ArgumentTypeError)


# The wire form, and the entry of records.


@pytest.mark.parametrize("digits, following, encoded", DATA["encoding"])
def test_encoding_is_that_of_go_ethereum(digits: str, following: int, encoded: str) -> None:
    expected = fork_id(digits, following)
    assert encode(expected).hex() == encoded
    assert decode(bytes.fromhex(encoded), ForkID) == expected


def node_with(entry: object) -> p2p.Node:
    return p2p.Node.from_record(p2p.Record.sign(KEY, 1, {"eth": entry}))


def test_entry_of_a_record_is_read_as_it_was_written() -> None:
    ours = MAINNET.chain.fork_id(30_000_000, NEWEST)
    entry = eth_entry(ours)
    assert entry.hex() == "c7c68407c9462e80"
    node = node_with(entry)
    assert fork_id_of(node) == ours
    assert node.record is not None and fork_id_of(node.record) == ours
    assert eth_entry(ours) == Raw(encode([[ours.hash, ours.next]]))


def test_entry_is_an_attribute_of_a_protocol() -> None:
    ours = MAINNET.chain.fork_id(30_000_000, NEWEST)
    protocol = p2p.Protocol("eth", 68, 17, print, attributes={"eth": eth_entry(ours)})
    assert fork_id_of(node_with(protocol.attributes["eth"])) == ours


HASH = b"\x01\x02\x03\x04"


@pytest.mark.parametrize("more", [[5], [b"x", [b"y", [b"z"]]], [[HASH, 9]]])
def test_further_items_of_an_entry_are_for_later_versions(more: list[object]) -> None:
    assert fork_id_of(node_with([[HASH, 5], *more])) == ForkID(HASH, 5)


@pytest.mark.parametrize(
    "entry",
    [
        b"", b"\xc0", [], [b""], [[]], [HASH, 5], [[HASH]], [[HASH, 5, 6]], [[b"\x01\x02\x03", 5]],
        [[HASH + b"\x05", 5]], [[HASH, 2**64]], [[HASH, b"\x00\x05"]], [[HASH, [5]]], [[[], 5]],
    ],
)  # fmt: skip
def test_entry_of_another_form_counts_as_absent(entry: object) -> None:
    node = node_with(entry)
    assert fork_id_of(node) is None
    assert not node_filter(MAINNET.chain)(node)


def test_without_a_record_or_an_entry_there_is_no_fork_id() -> None:
    assert fork_id_of(p2p.Node.from_parts(KEY.public_key, "192.0.2.7", 1)) is None
    assert fork_id_of(p2p.Record.sign(KEY, 1)) is None


@given(st.recursive(st.binary(max_size=9), st.lists, max_leaves=9))
def test_any_value_of_an_entry_is_read_or_counts_as_absent(value: object) -> None:
    found = fork_id_of(node_with(value))
    assert found is None or eth_entry(found)[2:] in encode(value)


# The filter.


def test_filter_takes_nodes_of_the_chain_only() -> None:
    nodes = [
        node_with(eth_entry(network.chain.fork_id(MAX, NEWEST)))
        for network in (MAINNET, SEPOLIA, HOODI)
    ]
    nodes.append(p2p.Node.from_parts(KEY.public_key))
    for number, network in enumerate((MAINNET, SEPOLIA, HOODI)):
        found = list(filter_nodes(iter_nodes(nodes), node_filter(network.chain)))
        assert found == [nodes[number]]


def test_filter_without_a_head_takes_nodes_that_need_an_update() -> None:
    stale = node_with([[MAINNET.chain.fork_id(9_200_000, 0).hash, 0]])
    assert node_filter(MAINNET.chain)(stale)
    assert not node_filter(MAINNET.chain, lambda: (MAX, NEWEST))(stale)


def test_filter_asks_for_the_head_each_time() -> None:
    heads = iter([(150, 0), (250, 0)])
    remote = node_with([[Chain(GENESIS, [A]).fork_id(MAX, 0).hash, 0]])
    is_of_chain = node_filter(Chain(GENESIS, [A, B]), lambda: next(heads))
    assert [is_of_chain(remote), is_of_chain(remote)] == [True, False]


@pytest.mark.parametrize("head", [None, 5, (1,), (1, 2, 3), [1, 2]])
def test_wrong_result_of_head_is_named(head: Any) -> None:
    node = node_with(eth_entry(MAINNET.chain.fork_id(0, 0)))
    with pytest.raises(ArgumentTypeError, match="result of head: wanted a tuple"):
        node_filter(MAINNET.chain, lambda: head)(node)


@pytest.mark.parametrize("verdict", Compatibility)
def test_verdict_is_readable(verdict: Compatibility) -> None:
    assert str(verdict) == verdict.value and len(str(verdict)) > 5
