"""The programs of docs/howto/requests.md run, and do what is said beside them."""

from __future__ import annotations

import re
import sys
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import p2p
from p2p import testing
from tests.kit.waiting import PATIENCE_S, eventually

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "requests.md"


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The definitions of the page, part by part, as a module."""
    module = ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", module)
    for source in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL):
        exec(source, vars(module))
    return vars(module)


def await_output(capsys: Any, text: str) -> None:
    """Wait until exactly this was printed, by other threads."""
    shown = ""

    def is_shown() -> bool:
        nonlocal shown
        shown += capsys.readouterr().out
        return shown == text

    eventually(is_shown)


def test_each_end_asks_and_answers(names: dict[str, Any], capsys: Any) -> None:
    with names["new_server"]("one") as one, names["new_server"]("other") as other:
        testing.connect_servers(one, other)
        await_output(capsys, "color: green\n" * 2)


def test_many_are_asked_at_once(names: dict[str, Any]) -> None:
    found: dict[str, str] = {}
    has_found = threading.Semaphore(0)

    def look_up(requests: p2p.requests.Requests) -> None:
        found.update(names["look_up_all"](requests, ["color", "shape", "size"]))
        has_found.release()

    names["look_up"] = look_up
    with names["new_server"]("one") as one, names["new_server"]("other") as other:
        testing.connect_servers(one, other)
        for _ in (one, other):
            assert has_found.acquire(timeout=PATIENCE_S)
    assert found == {"color": "green", "shape": "round", "size": ""}


def test_script_asks_without_a_handler(names: dict[str, Any], capsys: Any) -> None:
    names["look_up"] = lambda requests: None
    with names["new_server"]("one") as server:
        names["ask_one_node"](server.self.url)
    assert capsys.readouterr().out == "shape: round\n"


def test_unasked_replies_are_counted_until_the_program_leaves(names: dict[str, Any]) -> None:
    requests = p2p.requests.Requests(testing.msg_pipe()[0])
    for request_id in range(3):
        names["deliver_or_leave"](requests, request_id, "value")
    with pytest.raises(p2p.Disconnect):
        names["deliver_or_leave"](requests, 3, "value")


def test_rates_size_the_next_request(names: dict[str, Any]) -> None:
    protocol = p2p.Protocol("items", 1, 2, names["fetch"])
    with testing.run_handler(protocol) as remote:
        request_id, (first, count) = remote.expect(0).decode(tuple[int, tuple[int, int]])
        assert (first, count) == (0, 1)
        assert len(names["PEERS"]) == 1
        remote.send_items(1, request_id, [b"item"])
        remote.close()
        remote.result()
    assert len(names["PEERS"]) == 0


def test_messages_are_asked_for(names: dict[str, Any], capsys: Any) -> None:
    with testing.connected_servers(names["PROTOCOL"]):
        await_output(capsys, "shape: round\n" * 2)


def test_names_of_the_page_are_there() -> None:
    text = PAGE.read_text(encoding="utf-8")
    counters = re.search(r"`requests\.counters` has the numbers: (.*?) and `by_code`", text, re.S)
    assert counters is not None
    named = re.findall(r"`(\w+)`", counters[1])
    assert len(named) == 8
    assert all(hasattr(p2p.requests.RequestCounters, name) for name in named)
    assert f"{p2p.requests.front.TIMEOUT_S:g} by default" in text
    assert f"{p2p.requests.front.MAX_PENDING:,} requests" in text
