"""The fixture that finds leaks finds them, and only them."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

# A conftest.py cannot be imported; its class comes through the fixture ``open_resources``.


def test_a_running_thread_is_a_leak(open_resources: Any, monkeypatch: Any) -> None:
    monkeypatch.setitem(open_resources.leaked_since.__globals__, "JOIN_TIMEOUT_S", 0.01)
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="p2p-lost", daemon=True)
    thread.start()
    try:
        assert open_resources.leaked_since() == ["thread 'p2p-lost' still runs"]
    finally:
        stop.set()
        thread.join()


def test_a_thread_that_is_about_to_end_is_waited_for(open_resources: Any) -> None:
    threading.Thread(target=time.sleep, args=(0.01,)).start()
    assert open_resources.leaked_since() == []


def test_an_open_socket_is_a_leak(open_resources: Any) -> None:
    with socket.socket() as sock:
        (leak,) = open_resources.leaked_since()
        assert leak.startswith(f"descriptor {sock.fileno()} (socket:")
    assert open_resources.leaked_since() == []


def test_a_socket_in_place_of_a_closed_one_is_a_leak(open_resources: Any) -> None:
    first = socket.socket()
    before = type(open_resources)()
    first.close()
    with socket.socket():
        assert len(before.leaked_since()) == 1


def test_a_closed_socket_in_a_cycle_is_no_leak(open_resources: Any) -> None:
    with socket.socket() as sock:
        cycle = [sock]
        cycle.append(cycle)  # type: ignore[arg-type]
    assert open_resources.leaked_since() == []


def test_looking_takes_less_than_a_millisecond(open_resources: Any) -> None:
    def look() -> float:
        start = time.perf_counter()
        type(open_resources)().leaked_since()
        return time.perf_counter() - start

    assert min(look() for _ in range(20)) < 0.001


def test_an_idle_thread_of_a_server_is_no_leak(open_resources: Any) -> None:
    # The server may be the module's.
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="p2p-idle", daemon=True)
    thread.start()
    assert open_resources.leaked_since() == []
    stop.set()
    thread.join()
