"""Serve the page and made-up messages to a browser, for what no real monitor says on demand."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Response
from websockets.sync.server import serve

if TYPE_CHECKING:
    from websockets.http11 import Request
    from websockets.sync.server import ServerConnection

    from .story import Json, Story

PAGE = Path(__file__).resolve().parents[3] / "p2p" / "monitor" / "page"
TOKEN = "made-up-token"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
DEADLINE_S = 20.0
#: The policy of docs/design/monitor.md.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; "
    "connect-src 'self' ws://{host}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'"
)


class StoryServer:
    """A server of a story on loopback: first its past, then what :meth:`tell` is given.

    ``hello`` has fields of the hello that are other than those of the story.
    """

    def __init__(
        self, story: Story, *, past: int = 20, kind: str = "server", hello: Json | None = None
    ) -> None:
        self.story = story
        self.heard: list[Any] = []
        self._past: list[Json] = [
            {**story.hello(kind), **(hello or {})},
            story.snapshot(),
            *story.updates(past),
            story.live(),
        ]
        self._changed = threading.Condition()
        self._connections: list[ServerConnection] = []
        self._connected = 0
        self._server = serve(
            self._converse, "127.0.0.1", 0, process_request=self._file, close_timeout=1
        )
        self._thread = threading.Thread(target=self._server.serve_forever, name="story")
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.socket.getsockname()[1]}/{TOKEN}/"

    def tell(self, *messages: Json) -> None:
        """Send messages to every browser; they are the past of those that come later."""
        with self._changed:
            self._past += messages
            for connection in self._connections:
                for message in messages:
                    connection.send(json.dumps(message))

    def tell_text(self, text: str) -> None:
        """Send a message as it is."""
        with self._changed:
            for connection in self._connections:
                connection.send(text)

    def wait_for(self, kind: str) -> Any:
        """Return the latest message of this type from a browser; wait for the first."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: any(m["type"] == kind for m in self.heard), DEADLINE_S
            )
            return [message for message in self.heard if message["type"] == kind][-1]

    def hang_up(self, code: int = 1001) -> None:
        """Close the connections of all browsers."""
        with self._changed:
            connections = list(self._connections)
        for connection in connections:
            connection.close(code)

    def wait_for_connection(self, number: int) -> None:
        """Wait until a browser has connected for this time, from 1 on."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._connected >= number, DEADLINE_S)

    def close(self) -> None:
        self._server.shutdown()
        self.hang_up()
        self._thread.join(DEADLINE_S)
        with self._changed:
            assert self._changed.wait_for(lambda: not self._connections, DEADLINE_S)

    def _file(self, connection: ServerConnection, request: Request) -> Response | None:
        name = request.path.removeprefix(f"/{TOKEN}/")
        path = PAGE / (name or "index.html")
        if name == "socket":
            return None
        if not path.is_file():
            return Response(
                404, "Not Found", Headers({"Content-Length": "0", "Connection": "close"}), b""
            )
        body = path.read_bytes()
        headers = Headers(
            {
                "Content-Type": TYPES[path.suffix],
                "Content-Length": str(len(body)),
                "Connection": "close",
                "Content-Security-Policy": POLICY.format(host=request.headers["Host"]),
                "X-Content-Type-Options": "nosniff",
                "Cache-Control": "no-store",
            }
        )
        return Response(200, "OK", headers, body)

    def _converse(self, connection: ServerConnection) -> None:
        with self._changed:
            for message in self._past:
                connection.send(json.dumps(message))
            self._connections.append(connection)
            self._connected += 1
            self._changed.notify_all()
        try:
            for text in connection:
                with self._changed:
                    self.heard.append(json.loads(text))
                    self._changed.notify_all()
        except ConnectionClosed:
            pass
        finally:
            with self._changed:
                self._connections.remove(connection)
                self._changed.notify_all()
