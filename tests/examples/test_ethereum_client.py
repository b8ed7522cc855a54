"""The programs of docs/howto/ethereum-client.md, with a Python node that speaks eth."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import p2p
from p2p.eth import ETH69, BlockHeaders, GetBlockHeaders, HeadersQuery, handshake, make_status
from p2p.testing import msg_pipe, run_handler
from tests.eth.chain import EthNode, make_chain
from tests.eth.vectors import MESSAGES
from tests.kit.waiting import PATIENCE_S

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "ethereum-client.md"
FIRST, LISTENER, HANDLER, SNAP = re.findall(
    r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL
)
NODE = EthNode(make_chain(5))
NETWORK = NODE.network


@pytest.fixture
def server() -> Iterator[p2p.Server]:
    protocol = p2p.Protocol("eth", 69, ETH69.length, partial(NODE.run, version=69))
    with p2p.Server(
        private_key=p2p.generate_key(),
        name="a client",
        max_peers=5,
        listen_addr="127.0.0.1:0",
        protocols=[protocol],
    ) as server:
        yield server


def test_first_program_prints_the_newest_blocks(server: p2p.Server, capsys: Any) -> None:
    source = FIRST.replace("p2p.networks.SEPOLIA", "NETWORK").replace(
        '"enode://...@198.51.100.7:30303"', "URL_OF_THE_TEST"
    )
    exec(source, {"NETWORK": NETWORK, "URL_OF_THE_TEST": server.self.url})
    hashes = [block.header.hash.hex() for block in NODE.blocks]
    assert capsys.readouterr().out.splitlines() == [
        "a client has the blocks 0 to 4",
        *(f"{number} {hashes[number]} 3 transactions" for number in (4, 3, 2, 1)),
        f"0 {hashes[0]} 0 transactions",
    ]


def test_messages_that_come_unasked_are_handed_over(capsys: Any) -> None:
    ours, theirs = msg_pipe(length=ETH69.length)
    names: dict[str, Any] = {"p2p": p2p, "Client": p2p.eth.Client, "rw": ours}
    exec(LISTENER, names)
    for message in (MESSAGES["eth69 NewPooledTransactionHashes68"], BlockHeaders(1, [])):
        theirs.write_msg(p2p.Msg(*ETH69.encode(message)))
    assert names["client"].get_block_headers(0) == []
    assert capsys.readouterr().out == "2 new transactions\n"


def test_handler_answers_and_hands_replies_over() -> None:
    shared: list[p2p.requests.Requests] = []
    names: dict[str, Any] = {"p2p": p2p, "network": NETWORK, "share": shared.append}
    exec(HANDLER, names)
    with run_handler(names["protocol"]) as rw:
        handshake(rw, make_status(NETWORK, 69), NETWORK.chain, timeout=PATIENCE_S)
        query = HeadersQuery(0, 1, 0, False)
        rw.write_msg(p2p.Msg(*ETH69.encode(GetBlockHeaders(7, query))))
        answer = rw.read_msg(PATIENCE_S)
        assert ETH69.decode(answer.code, answer.payload) == BlockHeaders(7, [])
        (requests,) = shared
        request = requests.start(0x03, query, expect=BlockHeaders, timeout=PATIENCE_S)
        asked = rw.read_msg(PATIENCE_S)
        assert ETH69.decode(asked.code, asked.payload) == GetBlockHeaders(request.id, query)
        reply = BlockHeaders(request.id, [NODE.blocks[0].header])
        rw.write_msg(p2p.Msg(*ETH69.encode(reply)))
        assert request.result(PATIENCE_S) == reply
