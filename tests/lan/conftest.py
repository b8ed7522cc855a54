"""A service type for each test: the tests of this machine share its loopback interface."""

from __future__ import annotations

import secrets

import pytest

from p2p.lan import link


@pytest.fixture(autouse=True)
def service_type(monkeypatch: pytest.MonkeyPatch) -> str:
    name = f"_t{secrets.token_hex(5)}._tcp.local."
    monkeypatch.setattr(link, "SERVICE_TYPE", name)
    return name
