"""Figures: quantiles of what was seen, ratios to floors, targets."""

from __future__ import annotations

import pytest

from tests.benchmarks.figures import Figure, quantile, spread


def test_quantiles_are_values_that_were_seen() -> None:
    values = [float(n) for n in range(1, 101)]

    assert spread(values) == (50.0, 90.0, 99.0, 100.0)
    assert quantile([3.0], 0.99) == 3.0
    assert quantile([1.0, 2.0], 0.5) == 1.0


def test_a_ratio_is_the_value_over_its_floor() -> None:
    assert Figure("p50", 30.0, "ms", 20.0, "bare flow").ratio == 1.5
    assert Figure("p50", 30.0, "ms").ratio is None


@pytest.mark.parametrize(
    ("value", "lower", "target", "reached"),
    [
        (30.0, True, 30.0, True),
        (31.0, True, 30.0, False),
        (4000.0, False, 4000.0, True),
        (3999.0, False, 4000.0, False),
    ],
)
def test_a_target_is_reached_from_its_better_side(value: float, lower: bool, target: float, reached: bool) -> None:
    assert Figure("x", value, "", lower_is_better=lower, target=target).on_target is reached


def test_without_a_target_none_is_reached_or_missed() -> None:
    assert Figure("x", 1.0, "").on_target is None
