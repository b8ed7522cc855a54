"""A page of the monitor, without a browser: its socket, and the state that it folds."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any
from urllib.parse import urlsplit

from websockets.sync.client import ClientConnection, connect

from p2p.monitor.changes import Mutable, apply
from tests.kit.waiting import PATIENCE_S, words_of


def origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def socket_of(url: str) -> str:
    return url.replace("http://", "ws://") + "socket"


def open_socket(url: str, **options: Any) -> ClientConnection:
    """The socket of a page, with its Origin."""
    usual = {"origin": origin_of(url), "proxy": None, "max_size": None, "close_timeout": 0.1}
    return connect(socket_of(url), open_timeout=PATIENCE_S, **{**usual, **options})


class Page:
    """An open page. Its ``state`` is what it shows; it ends with a ``with`` block."""

    def __init__(self, url: str | None, **options: Any) -> None:
        assert url is not None
        self._entered = ExitStack()
        self.socket = self._entered.enter_context(open_socket(url, **options))
        self.hello = self.next()
        self.state: Mutable = {}
        self.kinds: list[str] = []
        self.numbers: list[int] = []
        self.missed = 0
        self.points: list[dict[str, Any]] = []
        self.messages: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.activity: list[dict[str, Any]] = []
        self.unseen = 0
        self.errors: list[str] = []
        assert self.hello["type"] == "hello"
        self.until(lambda: "live" in self.kinds)

    def __enter__(self) -> Page:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        self._entered.close()

    def next(self) -> dict[str, Any]:
        """The next message."""
        found: dict[str, Any] = json.loads(self.socket.recv(timeout=PATIENCE_S))
        return found

    def send(self, **request: Any) -> None:
        self.socket.send(json.dumps(request))

    def step(self) -> None:
        """Take one message."""
        message = self.next()
        kind = message["type"]
        self.kinds.append(kind)
        if kind == "snapshot":
            self.state, self.missed = message["state"], self.missed + message["missed"]
            self.numbers.append(message["n"])
        elif kind == "update":
            self.numbers.append(message["n"])
            apply(message, self.state)
            self.points += [message["point"]] if "point" in message else []
            self.messages += message.get("messages", [])
            self.events += message.get("events", [])
            self.activity += message.get("activity", [])
            self.unseen += message.get("unseen", 0)
        elif kind == "error":
            self.errors.append(message["text"])

    def until(self, condition: Callable[[], object]) -> None:
        """Take messages until the page shows something."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < deadline, words_of(condition)
            self.step()

    def rows(self, collection: str) -> list[dict[str, Any]]:
        return list(self.state[collection].values())

    def wait(self, collection: str, **fields: Any) -> dict[str, Any]:
        """The first row with these fields, when there is one."""

        def found() -> list[dict[str, Any]]:
            rows = self.rows(collection)
            return [row for row in rows if all(row[key] == fields[key] for key in fields)]

        self.until(found)
        return found()[0]

    def message(self, **fields: Any) -> dict[str, Any]:
        """The first sample with these fields, when there is one."""

        def found() -> list[dict[str, Any]]:
            return [row for row in self.messages if fields.items() <= row.items()]

        self.until(found)
        return found()[0]
