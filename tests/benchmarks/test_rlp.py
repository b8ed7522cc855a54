"""The benchmark of the codec beside the rlp package, and the aim that every change has to keep."""

from __future__ import annotations

import pytest

from benchmarks import rlp as program
from benchmarks.rlp import AIM_RATIO, Shape, beside, hostile, payloads, shapes


@pytest.mark.parametrize("shape", shapes(), ids=lambda shape: shape.name)
def test_common_shape_is_at_least_three_times_as_fast_as_with_the_package(shape: Shape) -> None:
    measured = beside(shape, turns=50)
    assert measured.ratio >= AIM_RATIO


@pytest.mark.parametrize("shape", shapes()[:3], ids=lambda shape: shape.name)
def test_both_decode_to_the_same_values(shape: Shape) -> None:
    ours, package = shape.ours(), shape.package()
    if isinstance(ours, program.Status):
        assert [package[index] for index in range(5)] == list(vars(ours).values())  # type: ignore[index]
    else:
        assert list(ours) == list(package)  # type: ignore[call-overload]


@pytest.mark.parametrize("shape", shapes()[3:], ids=lambda shape: shape.name)
def test_both_encode_to_the_same_bytes(shape: Shape) -> None:
    assert shape.ours() == shape.package()


def test_hostile_payload_is_measured_beside_what_the_package_would_take() -> None:
    measured = hostile(payloads()[0], size=2**20, rounds=1)
    assert measured.outcome == "refused"
    assert 0 < measured.ours_s < measured.package_s
    assert measured.peak_bytes < 64 * 1024


def test_the_table_has_a_line_for_each_figure_and_says_whether_the_aim_is_met(
    capsys: pytest.CaptureFixture[str],
) -> None:
    program.main(["--turns", "1", "--size", str(2**17)])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 + len(shapes()) + len(payloads())
    verdicts = [line.split()[-1] for line in lines if line]
    assert verdicts.count("yes") + verdicts.count("NO") == len(shapes()) + 5
