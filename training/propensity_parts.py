"""Which examples train, validate and test a forecast: times in, masks of examples out.

    train | 24 h | validation | 24 h | test

An example's label looks 24 hours ahead. So the last 24 hours before the validation part, and before the test part,
hold no examples: their labels would be known only later. What is forecast at a time thus rests on nothing after it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.dataset import DAY_MS, Examples

FEWEST_VALIDATION_DAYS = 2
"""Days before the test part that hold the validation part at least; the last of them is the gap."""


@dataclass(frozen=True)
class Parts:
    """Masks of E examples, bool [E] each; an example in none of them lies in a gap, or has no label yet."""

    training: NDArray[np.bool_]
    validation: NDArray[np.bool_]
    test: NDArray[np.bool_]


def validation_start_ms(first_ms: int, until_ms: int, share: float) -> int:
    """Give the time at which validation starts: the last `share` of what lies before `until_ms`, two days at least."""
    return min(until_ms - int((until_ms - first_ms) * share), until_ms - FEWEST_VALIDATION_DAYS * DAY_MS)


def parts_of(examples: Examples, validation_ms: int, test_ms: int, last_ms: int) -> Parts:
    """Part examples by time.

    Parameters
    ----------
    examples
        All of them.
    validation_ms, test_ms
        When the validation and the test part start, ms since the epoch.
    last_ms
        Time of the log's last event: labels that look beyond it are not known.
    """
    start_ms, end_ms = examples.now_ms, examples.now_ms + DAY_MS
    return Parts(
        training=end_ms < validation_ms,
        validation=(start_ms >= validation_ms) & (end_ms < test_ms),
        test=(start_ms >= test_ms) & (end_ms <= last_ms),
    )


@dataclass(frozen=True)
class Fold:
    """Masks of E examples, bool [E] each: what is learned from, and what comes after it."""

    training: NDArray[np.bool_]
    validation: NDArray[np.bool_]


def rolling_folds(examples: Examples, parts: Parts, count: int) -> list[Fold]:
    """Give folds to choose by: the validation part, and as many examples again before it, and so on.

    The labels that a fold learns from are known before its validation starts. A fold that would learn from fewer
    examples than it validates on is left out, and those before it.

    Parameters
    ----------
    examples
        All of them.
    parts
        Training and validation part; the test part is not looked at.
    count
        Most folds.

    Returns
    -------
    list of Fold
        Newest first; the first one is the parts' own.
    """
    folds = [Fold(parts.training, parts.validation)]
    size = int(parts.validation.sum())
    order = np.flatnonzero(parts.training)
    order = order[np.argsort(examples.now_ms[order], kind="stable")]
    for _ in range(count - 1):
        validated = order[-size:]
        start_ms = examples.now_ms[validated[0]] if len(validated) else 0
        order = order[examples.now_ms[order] < start_ms]
        training = np.zeros(len(parts.training), dtype=bool)
        training[order[examples.now_ms[order] + DAY_MS < start_ms]] = True
        if training.sum() < size:
            break
        validation = np.zeros(len(parts.training), dtype=bool)
        validation[validated] = True
        folds.append(Fold(training, validation))
    return folds
