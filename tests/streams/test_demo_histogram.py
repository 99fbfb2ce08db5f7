from __future__ import annotations

import math

import pytest

from streams.demo.histogram import Histogram, together
from streams.demo.readings import parse

BOUNDS = (0.1, 0.2, 0.4, math.inf)


def test_percentile_is_interpolated_inside_its_bucket() -> None:
    histogram = Histogram(BOUNDS, (0, 10, 10, 10))
    assert histogram.percentile(50) == pytest.approx(0.15)
    assert histogram.percentile(90) == pytest.approx(0.19)


def test_percentile_of_the_first_bucket_starts_at_zero() -> None:
    assert Histogram(BOUNDS, (4, 4, 4, 4)).percentile(25) == pytest.approx(0.025)


def test_percentile_passes_over_empty_buckets() -> None:
    histogram = Histogram(BOUNDS, (5, 5, 10, 10))
    assert histogram.percentile(50) == pytest.approx(0.1)
    assert histogram.percentile(51) > 0.2  # type: ignore[operator]


def test_what_lies_beyond_the_last_bound_counts_as_that_bound() -> None:
    assert Histogram(BOUNDS, (0, 0, 0, 3)).percentile(99) == 0.4


def test_nothing_observed_has_no_percentile() -> None:
    assert Histogram().percentile(50) is None
    assert Histogram(BOUNDS, (0, 0, 0, 0)).percentile(50) is None


def test_difference_holds_what_came_in_between() -> None:
    earlier, later = Histogram(BOUNDS, (10, 10, 10, 10)), Histogram(BOUNDS, (10, 10, 14, 14))
    assert later.minus(earlier).total == 4
    assert later.minus(earlier).percentile(50) == pytest.approx(0.3)
    assert later.minus(Histogram()) == later


def test_workers_are_counted_together() -> None:
    assert together([Histogram(BOUNDS, (1, 2, 3, 4)), Histogram(), Histogram(BOUNDS, (1, 1, 1, 1))]) == Histogram(
        BOUNDS, (2, 3, 4, 5)
    )
    assert together([]).total == 0


def test_endpoint_is_read_without_what_is_not_shown() -> None:
    reading = parse(
        """# HELP lastclick_events_total Events
# TYPE lastclick_events_total counter
lastclick_events_total{outcome="applied",topic="clicks"} 7.0
lastclick_events_total{outcome="applied",topic="carts"} 2.0
lastclick_events_total{outcome="applied",topic="items"} 600.0
lastclick_events_total{outcome="dead_letter",topic="carts"} 1.0
lastclick_freshness_seconds_bucket{le="0.1"} 3.0
lastclick_freshness_seconds_bucket{le="+Inf"} 4.0
lastclick_freshness_seconds_bucket{le="0.05"} 1.0
lastclick_freshness_seconds_sum 0.4
lastclick_lag_events{topic="clicks"} 5.0
lastclick_lag_events{topic="items"} 1.0
lastclick_lists_written_total 9.0
lastclick_catalogue_items 600.0
lastclick_model_info{name="recommender",provider="CPUExecutionProvider",version="v1"} 1.0
lastclick_stage_seconds_bucket{le="0.1",stage="decode"} 3.0
"""
    )
    assert reading.events == {"applied": 9, "dead_letter": 1}
    assert reading.freshness == Histogram((0.05, 0.1, math.inf), (1, 3, 4))
    assert (reading.lag, reading.lists, reading.items) == (6, 9, 600)
    assert reading.models == (("recommender", "v1", "CPUExecutionProvider"),)
