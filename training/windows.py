"""Spans of the flat interactions to padded arrays: what the model reads, at training and at evaluation.

In: interactions and spans (start, end) in them. Out: left-aligned arrays as `scorer.encoder` makes them, with
rows of the item table in place of vectors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scorer.encoder import ModelInputs
from training.dataset import Interactions


@dataclass(frozen=True)
class Windows:
    """B windows of at most L entries.

    Parameters
    ----------
    place
        int64 [B, L], places in the flat interactions; -1 for padding.
    rows, action
        int64 [B, L], 0 for padding.
    gap, price
        float32 [B, L].
    length
        int64 [B].
    """

    place: NDArray[np.int64]
    rows: NDArray[np.int64]
    action: NDArray[np.int64]
    gap: NDArray[np.float32]
    price: NDArray[np.float32]
    length: NDArray[np.int64]

    def model_inputs(self, vectors: NDArray[np.float32], features: NDArray[np.float32]) -> ModelInputs:
        """Make the graph's inputs with item vectors [R, D] by row and features [B, F]."""
        return ModelInputs(vectors[self.rows], self.action, self.gap, self.price, self.length, features)


def gather(interactions: Interactions, start: NDArray[np.int64], end: NDArray[np.int64]) -> Windows:
    """Gather the spans [start, end), int64 [B] each, padded to the longest of them (at least 1)."""
    length = end - start
    width = max(int(length.max(initial=0)), 1)
    place = start[:, None] + np.arange(width)  # [B, L]
    inside = np.arange(width) < length[:, None]
    safe = np.where(inside, place, 0)
    return Windows(
        place=np.where(inside, place, -1),
        rows=np.where(inside, interactions.rows[safe], 0),
        action=np.where(inside, interactions.action[safe], 0),
        gap=np.where(inside, interactions.gap[safe], np.float32(0)),
        price=np.where(inside, interactions.price[safe], np.float32(0)),
        length=length,
    )


def newest_before(
    interactions: Interactions, user: NDArray[np.int64], end: NDArray[np.int64], max_length: int
) -> Windows:
    """Gather what serving would read of users (places, int64 [B]) whose histories end at `end`, int64 [B]."""
    return gather(interactions, np.maximum(interactions.starts[user], end - max_length), end)


def training_spans(
    interactions: Interactions, until_ms: int, max_length: int, random: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cut every user's interactions before `until_ms` into spans of `max_length`, at a random offset.

    The offset changes with each call, so that over the epochs an entry is seen with long and short pasts.

    Returns
    -------
    tuple
        Starts and ends, int64 [S] each.
    """
    starts: list[NDArray[np.int64]] = []
    ends: list[NDArray[np.int64]] = []
    for first, last in zip(interactions.starts[:-1], interactions.starts[1:], strict=True):
        stop = first + np.searchsorted(interactions.ms[first:last], until_ms)
        if stop == first:
            continue
        offset = int(random.integers(max_length)) if stop - first > max_length else 0
        cuts = np.arange(first - offset, stop, max_length)
        starts.append(np.maximum(cuts, first))
        ends.append(np.minimum(cuts + max_length, stop))
    if not starts:
        empty = np.zeros(0, dtype=np.int64)
        return empty, empty
    return np.concatenate(starts).astype(np.int64), np.concatenate(ends).astype(np.int64)


def batches_of(
    spans: tuple[NDArray[np.int64], NDArray[np.int64]], entries: int, random: np.random.Generator
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Put spans of similar length together, about `entries` places a batch with padding, in random order."""
    start, end = spans
    order = np.lexsort((random.random(len(start)), end - start))
    start, end = start[order], end[order]
    batches = []
    first = 0
    while first < len(start):
        last = first + 1
        while last < len(start) and (last - first + 1) * int(end[last] - start[last]) <= entries:
            last += 1
        batches.append((start[first:last], end[first:last]))
        first = last
    return [batches[place] for place in random.permutation(len(batches))]
