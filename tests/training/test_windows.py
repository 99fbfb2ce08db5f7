from __future__ import annotations

import numpy as np

from tests.planted import Planted
from training.windows import batches_of, gather, newest_before, training_spans


def test_window_ends_at_the_newest_entry(fitted: Planted) -> None:
    log = fitted.dataset.interactions
    windows = newest_before(log, np.array([1]), log.starts[2:3], 5)
    assert windows.length.tolist() == [5]
    np.testing.assert_array_equal(windows.rows[0], log.rows[log.starts[2] - 5 : log.starts[2]])


def test_shorter_windows_are_padded_at_the_end(fitted: Planted) -> None:
    log = fitted.dataset.interactions
    windows = gather(log, np.array([0, 0]), np.array([2, 4]))
    assert windows.place.tolist() == [[0, 1, -1, -1], [0, 1, 2, 3]]
    assert windows.action[0, 2:].tolist() == [0, 0]
    assert windows.rows[0, 2:].tolist() == [0, 0]


def test_training_spans_cover_each_entry_before_the_end_once(fitted: Planted) -> None:
    log = fitted.dataset.interactions
    until_ms = int(np.median(log.ms))
    start, end = training_spans(log, until_ms, 7, np.random.default_rng(0))
    covered = np.concatenate([np.arange(first, last) for first, last in zip(start, end, strict=True)])
    np.testing.assert_array_equal(np.sort(covered), np.flatnonzero(log.ms < until_ms))
    assert (end - start).max() <= 7


def test_batches_hold_every_span_and_no_more_places_than_asked() -> None:
    random = np.random.default_rng(0)
    start = np.arange(100, dtype=np.int64) * 50
    end = start + random.integers(1, 50, 100)
    batches = batches_of((start, end), 200, random)
    assert sorted(np.concatenate([first for first, _ in batches]).tolist()) == start.tolist()
    for first, last in batches:
        assert len(first) == 1 or len(first) * (last - first).max() <= 200
