"""Who may read the page."""

from __future__ import annotations

import pytest

from p2p.monitor.access import Access, headers_of

ACCESS = Access(token="secret")
PUBLIC = Access(public=True, token="secret")


@pytest.mark.parametrize(
    ("path", "rest"),
    [
        ("/secret/", ""),
        ("/secret/main.js", "main.js"),
        ("/secret/main.js?x=1", "main.js"),
        ("/secret/a/../b", "a/../b"),
        ("/secret", None),
        ("/", None),
        ("", None),
        ("/secre/", None),
        ("/secrets/", None),
        ("/Secret/", None),
        ("/x/secret/", None),
        ("//secret/", None),
        ("/%73ecret/", None),
        ("/secr\udce9t/", None),
        ("/?secret/", None),
    ],
)
def test_path_begins_with_the_token(path: str, rest: str | None) -> None:
    assert ACCESS.rest_of(path) == rest


def test_tokens_differ_and_are_long() -> None:
    tokens = {Access().token for _ in range(100)}
    assert len(tokens) == 100
    assert all(len(token) >= 32 for token in tokens)


@pytest.mark.parametrize(
    ("host", "of_loopback", "of_public"),
    [
        ("127.0.0.1:8000", True, True),
        ("127.0.0.1", True, True),
        ("127.7.7.7:1", True, True),
        ("localhost:8000", True, True),
        ("LocalHost:8000", True, True),
        ("[::1]:8000", True, True),
        ("192.0.2.7:8000", False, True),
        ("[2001:db8::7]:8000", False, True),
        ("evil.example:8000", False, False),
        ("localhost.evil.example", False, False),
        ("127.0.0.1.evil.example", False, False),
        ("2130706433", False, False),
        ("0x7f.1", False, False),
        ("::1", False, False),
        ("[127.0.0.1]:80", False, False),
        ("127.0.0.1:8000 ", False, False),
        ("127.0.0.1:8000; x", False, False),
        ("user@127.0.0.1", False, False),
        ("127.0.0.1:", False, False),
        ("", False, False),
    ],
)
def test_host_is_an_address_and_no_name(host: str, of_loopback: bool, of_public: bool) -> None:
    assert (ACCESS.host_of([host]) is not None) == of_loopback
    assert (PUBLIC.host_of([host]) is not None) == of_public


def test_host_is_there_once() -> None:
    assert ACCESS.host_of([]) is None
    assert ACCESS.host_of(["127.0.0.1", "127.0.0.1"]) is None


@pytest.mark.parametrize(
    ("origins", "is_own"),
    [
        (["http://127.0.0.1:8000"], True),
        (["HTTP://127.0.0.1:8000"], True),
        (["http://127.0.0.1:8001"], False),
        (["http://localhost:8000"], False),
        (["https://127.0.0.1:8000"], False),
        (["http://evil.example"], False),
        (["null"], False),
        ([], False),
        (["http://127.0.0.1:8000", "http://127.0.0.1:8000"], False),
    ],
)
def test_origin_is_that_of_the_page(origins: list[str], is_own: bool) -> None:
    assert ACCESS.is_own_origin(origins, "127.0.0.1:8000") == is_own


def test_policy_allows_files_and_socket_of_the_page_alone() -> None:
    headers = dict(headers_of("127.0.0.1:8000"))
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == "'self'"
    assert policy["connect-src"] == "'self' ws://127.0.0.1:8000"
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"
