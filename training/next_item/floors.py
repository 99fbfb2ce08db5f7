"""Rules that a model must beat: popularity, the item that followed most often, items found together.

In: sequences to count in. Out: scorers for `training.next_item.figures`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from training.next_item.figures import Scorer
from training.next_item.sequences import Sequences

DAMPING = 20.0
"""Added to a similarity's denominator, so that two items that share one sequence don't look alike."""


def popularity(training: Sequences, items: int) -> Scorer:
    """Score by counts in `training`, the same for everyone."""
    counts = np.bincount(training.rows, minlength=items).astype(np.float32)
    return lambda _, numbers: np.tile(counts, (len(numbers), 1))


def markov(training: Sequences, items: int) -> Scorer:
    """Score by how often an item came right after the newest one; then by counts in all."""
    follows = np.ones(len(training.rows), dtype=np.bool_)
    follows[training.starts[:-1][training.lengths > 0]] = False
    later = np.flatnonzero(follows)
    pairs = (training.rows[later - 1], training.rows[later])
    matrix = sparse.csr_matrix((np.ones(len(later), dtype=np.float32), pairs), shape=(items, items))
    return _newest_first(matrix, training, items)


def item_knn(training: Sequences, items: int) -> Scorer:
    """Score by the cosine between items' sequences, from the newest item; then by counts in all."""
    return _newest_first(alike(training, items), training, items)


def alike(training: Sequences, items: int) -> sparse.csr_matrix:
    """Give the damped cosine between the sequences of two items, float32 [R, R]; none with itself."""
    owner = np.repeat(np.arange(len(training)), training.lengths)
    ones = np.ones(len(owner), dtype=np.float32)
    touched = sparse.csr_matrix((ones, (owner, training.rows)), shape=(len(training), items))
    touched.data[:] = 1.0  # an item that a sequence holds twice counts once
    together = (touched.T @ touched).tocoo()
    counts = np.asarray(touched.sum(axis=0)).ravel()
    values = together.data / (np.sqrt(counts[together.row] * counts[together.col]) + DAMPING)
    values[together.row == together.col] = 0.0
    found = sparse.csr_matrix((values.astype(np.float32), (together.row, together.col)), shape=together.shape)
    found.eliminate_zeros()
    return found


def _newest_first(matrix: sparse.csr_matrix, training: Sequences, items: int) -> Scorer:
    """Score with the matrix's row of the newest item; counts, scaled below its least value, order the rest."""
    counts = np.bincount(training.rows, minlength=items).astype(np.float32)
    least = float(matrix.data.min()) if matrix.nnz else 1.0
    rest = counts * (0.5 * least / max(float(counts.max(initial=0.0)), 1.0))

    def score(histories: Sequences, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        newest, lengths = histories.padded(numbers, 1)
        found: NDArray[np.float32] = matrix[np.where(lengths > 0, newest[:, 0], 0)].toarray()
        return found + rest

    return score
