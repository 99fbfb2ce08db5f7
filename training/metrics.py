"""Scores and what happened -> figures: hit rate and NDCG of lists, calibration of probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def top_rows(scores: NDArray[np.float32], length: int) -> NDArray[np.int64]:
    """Give the best `length` rows of each list, best first: float32 [B, R] to int64 [B, length].

    Equal scores are ordered by row, so that a rule that knows nothing gains nothing by chance.
    """
    found: NDArray[np.int64] = np.argsort(-scores, axis=1, kind="stable")[:, :length]
    return found


def hit_rate(lists: NDArray[np.int64], targets: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
    """Say for each list, int64 [B, K], whether any of its targets is in it: float64 [B] of 0 and 1."""
    hits = [bool(np.isin(rows, wanted).any()) for rows, wanted in zip(lists, targets, strict=True)]
    return np.array(hits, dtype=np.float64)


def ndcg(lists: NDArray[np.int64], targets: Sequence[NDArray[np.int64]]) -> NDArray[np.float64]:
    """Discounted gain of each list, int64 [B, K], as a share of the best possible one: float64 [B].

    Every target is worth 1, discounted by log2(1 + place); the best list has all targets first.
    """
    discounts = 1.0 / np.log2(np.arange(lists.shape[1]) + 2.0)
    ideal = np.concatenate([[0.0], np.cumsum(discounts)])
    gains = [
        float(discounts[np.isin(rows, wanted)].sum() / ideal[min(len(wanted), lists.shape[1])])
        for rows, wanted in zip(lists, targets, strict=True)
    ]
    return np.array(gains, dtype=np.float64)


def calibration_error(probabilities: NDArray[np.float32], happened: NDArray[np.bool_], bins: int = 10) -> float:
    """Expected calibration error: mean distance of forecast and frequency over equally wide bins.

    Parameters
    ----------
    probabilities
        Forecasts in [0, 1], [N].
    happened
        Whether it did, [N].
    bins
        Number of bins of [0, 1]; each counts with its share of the forecasts.
    """
    place = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
    error = 0.0
    for bin_ in range(bins):
        inside = place == bin_
        if inside.any():
            distance = abs(float(probabilities[inside].mean(dtype=np.float64)) - float(happened[inside].mean()))
            error += distance * float(inside.mean())
    return error
