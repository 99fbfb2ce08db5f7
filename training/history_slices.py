"""Figures by how much a shopper has done before: lengths of histories in, slices and what scoring each costs out."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from scorer.recommender import Recommender
from training.dataset import Dataset, Examples
from training.windows import newest_before

EVENTS = (0, 1, 4, 10, 20, 50)
"""Least events of each slice of the histories; the last has no end."""

_TIMED = 64  # examples in a batch that is timed


def by_length(lengths: NDArray[np.int64]) -> dict[str, NDArray[np.bool_]]:
    """Part histories of these lengths [N] into slices by name, such as ``4-9``; bool [N] each, none of them empty."""
    slices = {}
    for least, after in zip(EVENTS, (*EVENTS[1:], None), strict=True):
        inside = (lengths >= least) & (lengths < after if after else True)
        if inside.any():
            slices[f"{least}+" if after is None else str(least) if after == least + 1 else f"{least}-{after - 1}"] = (
                inside
            )
    return slices


def _name(least: int, after: int | None) -> str:
    if after is None:
        return f"{least}+"
    return str(least) if after == least + 1 else f"{least}-{after - 1}"


def milliseconds(
    recommender: Recommender, dataset: Dataset, examples: Examples, slices: dict[str, NDArray[np.bool_]]
) -> dict[str, float]:
    """Time a forecast in each slice, encoding included.

    Parameters
    ----------
    recommender
        What scores.
    dataset, examples
        Whose moments are scored, E of them.
    slices
        Of the examples by name, bool [E] each; none of them empty.

    Returns
    -------
    dict
        Wall-clock time of an example by slice, ms: the better of two batches of 64 at most.
    """
    vectors = np.zeros((len(dataset.table.item_ids), recommender.item_width), dtype=np.float32)
    found = {}
    for name, inside in slices.items():
        chosen = np.flatnonzero(inside)[:_TIMED]
        best_s = float("inf")
        for _ in range(2):
            started = time.perf_counter()
            windows = newest_before(
                dataset.interactions, examples.user[chosen], examples.end[chosen], recommender.max_length
            )
            recommender.score(windows.model_inputs(vectors, examples.features[chosen]))
            best_s = min(best_s, time.perf_counter() - started)
        found[name] = round(1000 * best_s / len(chosen), 4)
    return found
