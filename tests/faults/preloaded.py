"""A WSGI application whose server is started when it is imported: before the workers are forked."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

import p2p
from tests.faults.workers import HOST, new_server

MAIN = new_server(f"{HOST}:0")
MAIN.start()
NODE = MAIN.self


def connect(server: p2p.Server) -> str:
    try:
        return f"connected with {server.connect(NODE).name}"
    except p2p.P2PError as error:
        return f"{type(error).__name__}: {error}"


def app(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """``/inherited`` asks the server of the master, ``/own`` one that the worker starts."""
    if environ["PATH_INFO"] == "/own":
        with new_server() as server:
            answer = connect(server)
    else:
        answer = connect(MAIN)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {answer}".encode()]
