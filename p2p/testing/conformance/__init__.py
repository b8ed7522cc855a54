"""Conformance suites: whether a node keeps the rules of the specifications, case by case.

A suite is a list of cases for one protocol: ``rlpx`` (with the base protocol), ``discv4`` or
``discv5``; :data:`SUITES` has them. Each :class:`Case` names its rule and the section of the
specification that has it, talks to a :class:`Target` over the network, and ends with a
:class:`Result`, whose :class:`Verdict` is passed, failed or skipped. The node may be of any
implementation. A case does what a hostile remote may do, so test nodes of your own only.
:func:`run_suite` runs them::

    for result in p2p.testing.conformance.run_suite("discv4", node):
        print(result.case.name, result.verdict.value, result.detail)

The cases that go-ethereum's own suites have (``devp2p discv4 test``, ``devp2p discv5 test``) are
among them. `p2p.testing` does not import this module; import it explicitly.
"""

from __future__ import annotations

from p2p.testing.conformance.case import Case, Result, Target, Verdict
from p2p.testing.conformance.suite import SUITES, run_suite

__all__ = ["SUITES", "Case", "Result", "Target", "Verdict", "run_suite"]
