"""go-ethereum's conformance suites for discovery v4 and v5, run once each."""

from __future__ import annotations

import pytest

from .discovery import StartDiscovery
from .suite import TESTS, run_suite


@pytest.mark.parametrize("protocol", sorted(TESTS))
def test_every_test_of_the_suite_passes(start_discovery: StartDiscovery, protocol: str) -> None:
    passed, failed = run_suite(start_discovery(protocol=protocol).node, protocol)
    assert (failed, len(passed)) == ([], TESTS[protocol])
