"""Forecasts, and what became of earlier ones, to forecasts that follow a shop where less, or more, is bought.

Nothing served does this: an evaluation shows what drift takes from the calibration, and what knowing the outcomes of
the last days would give back.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from training.dataset import DAY_MS

DAYS = 14
"""Days whose outcomes count."""
PULL = 20.0
"""How strongly a shift is held back where few outcomes are known: as by so much variance of theirs."""
FURTHEST = 5.0


def moved_by_outcomes(
    forecast: NDArray[np.float32], bought: NDArray[np.bool_], now_ms: NDArray[np.int64], from_ms: int
) -> NDArray[np.float32]:
    """Shift the logits of each day's forecasts by what the forecasts of the days before were off.

    Parameters
    ----------
    forecast, bought
        Probabilities [N] of a purchase within 24 hours, and whether it came, [N].
    now_ms
        When each was made, ms since the epoch, int64 [N].
    from_ms
        Those made before are not moved; their outcomes are known.

    Returns
    -------
    NDArray
        float32 [N]. A forecast rests on outcomes that were known at the start of its day alone; days are counted from
        `from_ms`.
    """
    certain = np.finfo(np.float32).eps
    within = np.clip(forecast.astype(np.float64), certain, 1.0 - certain)
    logits = np.log(within) - np.log1p(-within)
    moved = within.copy()
    day = (now_ms - from_ms) // DAY_MS
    for number in np.unique(day[day >= 0]):
        start_ms = from_ms + int(number) * DAY_MS
        known = (now_ms + DAY_MS <= start_ms) & (now_ms >= start_ms - DAYS * DAY_MS)
        shift = _shift(logits[known], bought[known])
        moved[day == number] = 1.0 / (1.0 + np.exp(-logits[day == number] - shift))
    return moved.astype(np.float32)


def _shift(logits: NDArray[np.float64], bought: NDArray[np.bool_]) -> float:
    """Give what is added to logits so that their probabilities add up to what was bought, pulled towards 0."""

    def left(shift: float) -> float:
        return float(bought.sum() - (1.0 / (1.0 + np.exp(-logits - shift))).sum() - PULL * shift)

    if left(-FURTHEST) < 0 or left(FURTHEST) > 0:
        return -FURTHEST if left(-FURTHEST) < 0 else FURTHEST
    return float(brentq(left, -FURTHEST, FURTHEST))
