"""Our own node keeps the rules, and each case finds a node that breaks its rule."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

import p2p
from p2p.testing import conformance
from p2p.testing.conformance import Verdict, discv4, discv5

from .faults import FAULTS

CASES = [(suite, case.name) for suite, cases in conformance.SUITES.items() for case in cases]
ANSWER_S = 5.0
#: For faults whose sign is that an answer is missing.
SHORT_S = 0.3


def stay(peer: p2p.Peer, rw: p2p.MsgReadWriter) -> None:
    for _ in rw:
        pass


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node on loopback answers sooner, if it does."""
    monkeypatch.setattr(discv4, "QUIET_S", 0.1)
    monkeypatch.setattr(discv5, "QUIET_S", 0.1)
    monkeypatch.setattr(discv5, "ADOPTION_S", 10.0)


def node() -> p2p.Server:
    return p2p.Server(
        private_key=p2p.generate_key(),
        name="under test",
        max_peers=20,
        listen_addr="127.0.0.1:0",
        protocols=[p2p.Protocol("eth", 68, 17, run=stay)],
    )


@pytest.fixture
def target() -> Iterator[p2p.Node]:
    with node() as server:
        yield server.self


@pytest.mark.slow
@pytest.mark.parametrize(("suite", "name"), CASES)
def test_our_node_passes(target, suite, name):
    (result,) = conformance.run_suite(suite, target, [name], ANSWER_S)
    assert (result.verdict, result.detail) == (Verdict.PASSED, "")


@pytest.mark.slow
@pytest.mark.parametrize(("suite", "name"), CASES)
def test_case_finds_its_fault(monkeypatch, suite, name):
    monkeypatch.setattr(discv5, "ADOPTION_S", SHORT_S)
    FAULTS[suite][name](monkeypatch)
    with node() as server:
        (result,) = conformance.run_suite(suite, server.self, [name], SHORT_S)
    assert result.verdict is Verdict.FAILED
    assert result.detail


def test_a_node_that_is_not_there_fails_every_case():
    key = p2p.generate_key().public_key
    with p2p.Server(private_key=p2p.generate_key(), name="gone", max_peers=1) as _:
        pass
    nobody = p2p.Node.from_parts(key, "127.0.0.1", 1, 1)
    results = list(conformance.run_suite("rlpx", nobody, ["handshake", "ping"], SHORT_S))
    assert [result.verdict for result in results] == [Verdict.FAILED] * 2
    assert all("refused" in result.detail for result in results)


def test_unknown_suite_and_case_are_refused(target):
    with pytest.raises(p2p.ArgumentError, match="rlpx, discv4, discv5"):
        conformance.run_suite("rlp", target)
    with pytest.raises(p2p.ArgumentError, match="pong-fields"):
        conformance.run_suite("discv4", target, ["pong"])


def test_a_node_without_a_port_is_refused():
    key = p2p.generate_key().public_key
    with pytest.raises(p2p.ArgumentError, match="UDP port"):
        conformance.run_suite("discv4", p2p.Node.from_parts(key, "127.0.0.1", 30303, 0))


@pytest.mark.parametrize("case", [case for cases in conformance.SUITES.values() for case in cases])
def test_each_case_names_its_rule_and_section(case):
    assert re.fullmatch(r"[A-Z“\"].*\.", case.rule)
    assert re.fullmatch(r".+\.md, .+", case.section)


def test_names_are_unique_within_a_suite():
    for cases in conformance.SUITES.values():
        assert len({case.name for case in cases}) == len(cases)
