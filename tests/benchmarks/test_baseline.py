"""The regression check: ratios that got worse by more than the tolerance are named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.baseline import PATH, Baseline, BaselineMissing, Ratio, read_baseline, worse, write_baseline
from tests.benchmarks.figures import Figure, Result

KNOWN = Baseline(0.5, {"latency": Ratio(2.0, True), "throughput": Ratio(0.5, False)})


def result(name: str, ratio: float, lower_is_better: bool) -> list[Result]:
    return [Result("any", "", [Figure(name, ratio * 10, "", 10.0, "bare flow", lower_is_better)])]


def test_a_ratio_within_the_tolerance_passes() -> None:
    assert worse(result("latency", 3.0, True), KNOWN) == []
    assert worse(result("throughput", 0.34, False), KNOWN) == []


def test_a_better_ratio_passes() -> None:
    assert worse(result("latency", 0.1, True), KNOWN) == []
    assert worse(result("throughput", 9.0, False), KNOWN) == []


def test_a_latency_that_grew_is_named_with_what_was_expected() -> None:
    assert worse(result("latency", 3.1, True), KNOWN) == [
        "latency: saw 3.10 times bare flow, expected at most 3.00 (baseline 2.00, tolerance 50%)"
    ]


def test_a_throughput_that_shrank_is_named_with_what_was_expected() -> None:
    assert worse(result("throughput", 0.3, False), KNOWN) == [
        "throughput: saw 0.30 times bare flow, expected at least 0.33 (baseline 0.50, tolerance 50%)"
    ]


def test_figures_without_a_floor_or_a_baseline_are_left_alone() -> None:
    assert worse([Result("any", "", [Figure("latency", 1e9, "ms"), Figure("new", 9.0, "ms", 1.0)])], KNOWN) == []


def test_writing_keeps_the_ratios_of_what_was_not_measured(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    write_baseline(result("latency", 2.0, True), path)
    write_baseline(result("throughput", 0.5, False), path)

    written = read_baseline(path)

    assert written.ratios == KNOWN.ratios
    assert worse(result("latency", 2.0, True), written) == []


def test_a_figure_that_is_not_steady_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    unsteady = [Result("any", "", [Figure("latency", 99.0, "ms", 1.0, "bare flow", checked=False)])]

    assert worse(unsteady, KNOWN) == []
    write_baseline(unsteady, path)
    assert read_baseline(path).ratios == {}


def test_a_missing_baseline_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(BaselineMissing, match="make one with `lastclick bench --write-baseline`"):
        read_baseline(tmp_path / "none.json")


def test_the_committed_baseline_can_be_read() -> None:
    assert read_baseline(PATH).tolerance > 0
