"""Buckets: sorted, without holes filled in, and cut behind a horizon that only moves forward."""

from __future__ import annotations

from feature_repo.buckets import latest, locate
from feature_repo.counts import Counts


def indices(buckets: list[Counts]) -> list[int]:
    return [counts.index for counts in buckets]


def test_bucket_is_made_in_its_place_and_found_again() -> None:
    buckets: list[Counts] = []
    for index in (10, 7, 12, 9):
        made = locate(buckets, index, newest=12, length=6, kind=Counts)
        assert made is locate(buckets, index, newest=12, length=6, kind=Counts)
    assert indices(buckets) == [7, 9, 10, 12]


def test_what_is_behind_the_horizon_is_dropped_and_not_made() -> None:
    buckets = [Counts(7), Counts(9), Counts(10)]
    assert locate(buckets, 6, newest=12, length=5, kind=Counts) is None
    assert indices(buckets) == [9, 10]
    assert locate(buckets, 100, newest=100, length=5, kind=Counts) is not None
    assert indices(buckets) == [100]


def test_latest_includes_the_hour_or_day_under_way() -> None:
    buckets = [Counts(7), Counts(9), Counts(10)]
    assert indices(latest(buckets, now=10, length=2)) == [9, 10]
    assert indices(latest(buckets, now=11, length=1)) == []
