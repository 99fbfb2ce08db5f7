"""Scores of all items to ranks of the targets, and ranks to figures.

A rank counts the items that come before the target: 0 is the best. Items with the target's own score come before it,
so a model that knows nothing gains nothing by ties; published floors of popularity count them behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from training.next_item.sequences import Moments, Sequences

CUTS = (5, 10, 20)
BATCH = 256

Scorer = Callable[[Sequences, NDArray[np.int64]], NDArray[np.float32]]
"""Histories, and the numbers [B] of those to score, to the score of every row for each: float32 [B, R]."""


class DivergedError(ArithmeticError):
    """A model whose scores are no numbers: says what to do."""


def ranks(moments: Moments, scorer: Scorer, *, mask_seen: bool, ties_won: bool = False) -> NDArray[np.int64]:
    """Rank all items at every moment.

    Parameters
    ----------
    moments
        Q moments.
    scorer
        What scores the items.
    mask_seen
        Whether items of the history are left out; a target that is one of them can't be hit.
    ties_won
        Whether items with the target's own score come behind it.

    Returns
    -------
    NDArray
        int64 [Q], items before the target; R, the number of rows, when it can't be hit.

    Raises
    ------
    DivergedError
        When a target's score is not a number.
    """
    found = np.zeros(len(moments), dtype=np.int64)
    for numbers in batches(moments):
        scores = np.array(scorer(moments.histories, numbers), dtype=np.float32)
        found[numbers] = rank_targets(scores, moments, numbers, mask_seen=mask_seen, ties_won=ties_won)
    return found


def batches(moments: Moments) -> Iterator[NDArray[np.int64]]:
    """Give the numbers of all moments, int64 [B] at a time, histories of like length together: less padding."""
    by_length = np.argsort(moments.histories.lengths, kind="stable")
    for first in range(0, len(moments), BATCH):
        yield by_length[first : first + BATCH]


def rank_targets(
    scores: NDArray[np.float32],
    moments: Moments,
    numbers: NDArray[np.int64],
    *,
    mask_seen: bool,
    ties_won: bool = False,
) -> NDArray[np.int64]:
    """Rank the targets of some moments, int64 [B], by scores float32 [B, R], which are written to; see `ranks`."""
    scores[:, 0] = -np.inf
    if mask_seen:
        lengths = moments.histories.lengths[numbers]
        seen = np.concatenate([moments.histories.of(int(number)) for number in numbers])
        scores[np.repeat(np.arange(len(numbers)), lengths), seen] = -np.inf
    targets = moments.targets[numbers]
    own = scores[np.arange(len(numbers)), targets]
    if np.isnan(own).any():
        raise DivergedError("saw scores that are not numbers, expected finite ones: use a lower peak_rate")
    if ties_won:
        before = (scores > own[:, None]).sum(axis=1, dtype=np.int64)
    else:
        before = (scores >= own[:, None]).sum(axis=1, dtype=np.int64) - 1
    found: NDArray[np.int64] = np.where(np.isneginf(own), scores.shape[1], before)
    return found


def list_figures(found: NDArray[np.int64]) -> dict[str, float]:
    """Give hit rate and NDCG of lists of 5, 10 and 20 from ranks int64 [Q]: ``hr_5`` to ``ndcg_20``."""
    gains = 1.0 / np.log2(found + 2.0)
    hit = {f"hr_{cut}": float((found < cut).mean()) for cut in CUTS}
    return hit | {f"ndcg_{cut}": float(np.where(found < cut, gains, 0.0).mean()) for cut in CUTS}


def session_figures(found: NDArray[np.int64]) -> dict[str, float]:
    """Give P@k, the share of targets in lists of k, and MRR@k from ranks int64 [Q]: ``p_5`` to ``mrr_20``."""
    reciprocal = 1.0 / (found + 1.0)
    hit = {f"p_{cut}": float((found < cut).mean()) for cut in CUTS}
    return hit | {f"mrr_{cut}": float(np.where(found < cut, reciprocal, 0.0).mean()) for cut in CUTS}
