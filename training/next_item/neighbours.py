"""Which items came near which: pairs in training sequences to the score of items near a history's newest.

In: sequences. Out: a table of each item's nearest, and scores of all items. It knows nothing of taste, but remembers
every pair, which a transformer is slow to do for rare items: the two are added up.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from training.next_item.sequences import Sequences
from training.next_item.settings import NextItemSettings


@dataclass(frozen=True)
class Neighbours:
    """The nearest items of each, nearest first.

    Parameters
    ----------
    rows
        int64 [R, K], rows of the nearest items; 0 where there are fewer.
    nearness
        float32 [R, K], 0 where there are fewer.
    max_length
        Newest entries of a history that are read.
    age_decay
        Factor for each newer entry.
    """

    rows: NDArray[np.int64]
    nearness: NDArray[np.float32]
    max_length: int
    age_decay: float

    @cached_property
    def matrix(self) -> sparse.csr_matrix:
        """The table as a sparse matrix, float32 [R, R]."""
        from_row = np.repeat(np.arange(len(self.rows)), self.rows.shape[1])
        found = sparse.csr_matrix(
            (self.nearness.ravel(), (from_row, self.rows.ravel())), shape=(len(self.rows), len(self.rows))
        )
        found.eliminate_zeros()
        return found

    def near(self, histories: Sequences, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """Score all items by their nearness to some histories, float32 [B, R]."""
        rows, lengths = histories.padded(numbers, self.max_length)
        newer = lengths[:, None] - 1 - np.arange(rows.shape[1])  # [B, L]
        read = newer >= 0
        weights = (self.age_decay ** newer[read]).astype(np.float32)
        shape = (len(numbers), len(self.rows))
        weighed = sparse.csr_matrix((weights, (np.nonzero(read)[0], rows[read])), shape=shape)
        found: NDArray[np.float32] = (weighed @ self.matrix).toarray()
        return found


def find_neighbours(training: Sequences, items: int, settings: NextItemSettings) -> Neighbours:
    """Count pairs of items in `training`, and keep each item's nearest.

    Parameters
    ----------
    training
        What to count in.
    items
        Rows of the item table R, row 0 included.
    settings
        Says which pairs count how much, and how many neighbours are kept.
    """
    counts = np.bincount(training.rows, minlength=items) + settings.damping
    pairs = _pairs(training, items, settings).tocoo()
    divided = pairs.data / (counts[pairs.row] ** settings.from_power * counts[pairs.col] ** settings.to_power)
    order = np.lexsort((pairs.col, -divided, pairs.row))
    from_row, to_row, nearness = pairs.row[order], pairs.col[order], divided[order]
    place = np.arange(len(from_row)) - np.searchsorted(from_row, from_row)  # among the item's own
    near = place < settings.neighbours
    shape = (items, settings.neighbours)
    rows, table = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.float32)
    rows[from_row[near], place[near]] = to_row[near]
    table[from_row[near], place[near]] = nearness[near]
    return Neighbours(rows, table, settings.max_length, settings.age_decay)


def _pairs(training: Sequences, items: int, settings: NextItemSettings) -> sparse.csr_matrix:
    """Give how often one item came some places after another, float64 [R, R], with less for each place."""
    owner = np.repeat(np.arange(len(training)), training.lengths)
    found = sparse.csr_matrix((items, items), dtype=np.float64)
    for apart in range(1, settings.reach + 1):
        same = owner[apart:] == owner[:-apart]
        earlier, later = training.rows[:-apart][same], training.rows[apart:][same]
        weight = np.full(len(earlier), settings.distance_decay ** (apart - 1))
        forward = sparse.csr_matrix((weight, (earlier, later)), shape=(items, items))
        found = found + forward + forward.T * settings.backward
    return found.tocsr()
