"""Access to the page: the token in its address, the Host, the Origin, the headers of answers.

Pure. A page of another site that the browser has open can send requests here, but cannot read the
token, which is in no cookie. It may have its own name point to 127.0.0.1 (DNS rebinding) to read
answers as its own: hence the host must be an IP address or "localhost". The socket needs the
Origin of the page, which a browser sets. Nothing is changed by a GET.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Sequence
from ipaddress import ip_address

from p2p.netutil import is_loopback

#: Bytes of a token: it cannot be guessed.
_TOKEN_BYTES = 24
_HOST = re.compile(r"(?P<name>[0-9a-zA-Z.]{1,64}|\[[0-9a-fA-F:.]{2,64}\])(?P<port>:[0-9]{1,5})?")
_LOCALHOST = "localhost"


class Access:
    """The rules of one monitor, with a new token; ``public`` if it is not on loopback alone."""

    def __init__(self, public: bool = False, token: str | None = None) -> None:
        self.token = token or secrets.token_urlsafe(_TOKEN_BYTES)
        self._public = public

    def rest_of(self, path: str) -> str | None:
        """Return the part of a request's path behind the token, or None if the token is wrong."""
        _, _, path = path.partition("?")[0].partition("/")
        given, slash, rest = path.partition("/")
        # The time of the comparison does not depend on the place of the first difference.
        is_right = hmac.compare_digest(given.encode("utf-8", "replace"), self.token.encode())
        return rest if is_right and slash else None

    def host_of(self, values: Sequence[str]) -> str | None:
        """Return the value of the header Host, None if it is refused. A port may be forwarded."""
        found = _HOST.fullmatch(values[0]) if len(values) == 1 else None
        if found is None:
            return None
        name = found["name"].lower()
        if name == _LOCALHOST:
            return found[0].lower()
        try:
            ip = ip_address(name.strip("[]"))
        except ValueError:
            return None
        is_bracketed = name.startswith("[")
        allowed = (self._public or is_loopback(ip)) and is_bracketed == (ip.version == 6)
        return found[0].lower() if allowed else None

    @staticmethod
    def is_own_origin(values: Sequence[str], host: str) -> bool:
        """Whether the header Origin is that of the page at ``host``."""
        return [value.lower() for value in values] == [f"http://{host}"]


def headers_of(host: str) -> list[tuple[str, str]]:
    """Return the headers of every answer; the page loads files and its socket from here alone."""
    policy = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "font-src": "'self'",
        "connect-src": f"'self' ws://{host}",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
    }
    return [
        ("Content-Security-Policy", "; ".join(f"{name} {value}" for name, value in policy.items())),
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        ("Referrer-Policy", "no-referrer"),
        ("Cache-Control", "no-store"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
    ]
