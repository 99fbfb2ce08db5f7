"""Scores and what happened -> figures: hit rate and NDCG of lists, calibration of probabilities."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import precision_recall_curve


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


class ReliabilityBin(msgspec.Struct, frozen=True):
    """Forecasts of about one size: their mean, how often it happened, and their share of all forecasts."""

    forecast: float
    frequency: float
    share: float


def reliability(
    probabilities: NDArray[np.float32], happened: NDArray[np.bool_], bins: int = 10
) -> list[ReliabilityBin]:
    """Hold forecasts against what happened, in equally wide bins of [0, 1]; bins without forecasts are left out.

    Parameters
    ----------
    probabilities
        Forecasts in [0, 1], [N].
    happened
        Whether it did, [N].
    bins
        Number of bins.
    """
    place = np.minimum((probabilities * bins).astype(np.int64), bins - 1)
    return [
        ReliabilityBin(
            forecast=float(probabilities[inside].mean(dtype=np.float64)),
            frequency=float(happened[inside].mean()),
            share=float(inside.mean()),
        )
        for inside in (place == bin_ for bin_ in range(bins))
        if inside.any()
    ]


def calibration_error(probabilities: NDArray[np.float32], happened: NDArray[np.bool_], bins: int = 10) -> float:
    """Expected calibration error: mean distance of forecast and frequency over the bins of `reliability`, by share."""
    return sum(abs(bin_.forecast - bin_.frequency) * bin_.share for bin_ in reliability(probabilities, happened, bins))


class PrecisionRecallPoint(msgspec.Struct, frozen=True):
    """Of the forecasts of at least `threshold`: the share in which it happened, and their share of all that did."""

    threshold: float
    precision: float
    recall: float


def precision_recall(
    probabilities: NDArray[np.float32], happened: NDArray[np.bool_], points: int = 100
) -> list[PrecisionRecallPoint]:
    """Give precision and recall by threshold, from recall 1 down; none where it never happened.

    Parameters
    ----------
    probabilities
        Forecasts, [N].
    happened
        Whether it did, [N].
    points
        Most points; they are spread evenly over the ranks of the thresholds.
    """
    if not happened.any():
        return []
    precision, recall, thresholds = precision_recall_curve(happened, probabilities)
    places = np.unique(np.linspace(0, len(thresholds) - 1, points).astype(np.int64))
    return [
        PrecisionRecallPoint(float(thresholds[place]), float(precision[place]), float(recall[place]))
        for place in places
    ]


def calibration_noise(bins: list[ReliabilityBin], count: int, draws: int = 1000) -> tuple[float, float]:
    """Calibration error that `count` forecasts in `bins` would show by chance, were they perfectly calibrated.

    Returns
    -------
    tuple
        Its mean, and what it exceeds in one case of twenty.
    """
    random = np.random.default_rng(0)
    shares, forecasts = (np.array([getattr(bin_, name) for bin_ in bins]) for name in ("share", "forecast"))
    sizes = np.rint(shares * count).astype(np.int64)
    frequencies = random.binomial(sizes, np.clip(forecasts, 0.0, 1.0), size=(draws, len(bins))) / np.maximum(sizes, 1)
    errors = np.abs(frequencies - forecasts) @ shares
    return float(errors.mean()), float(np.quantile(errors, 0.95))
