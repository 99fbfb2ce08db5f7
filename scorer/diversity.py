"""Diversity of a list: scores and item vectors in; the order of maximal marginal relevance out, and how diverse it is.

Maximal marginal relevance (MMR; Carbonell and Goldstein, SIGIR 1998): each place goes to the candidate that is best
after what it repeats of the places before is taken off. Serving and evaluation share it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def marginal_order(scores: NDArray[np.float32], vectors: NDArray[np.float32], strength: float) -> NDArray[np.int64]:
    """Order candidates by maximal marginal relevance.

    Parameters
    ----------
    scores
        float32 [N], of the candidates; compared among them only.
    vectors
        Of the same items, float32 [N, D]; a zero vector is like no other.
    strength
        0 orders by score alone, 1 by being unlike the items before alone. Relevance is the score scaled to [0, 1]
        among the candidates, likeness the cosine.

    Returns
    -------
    NDArray
        int64 [N], places of the candidates, best first; ties in the order given.
    """
    count = len(scores)
    if not count:
        return np.empty(0, np.int64)
    span = float(scores.max() - scores.min())
    relevance = (scores - scores.min()) / span if span > 0 else np.ones(count)
    units = unit_vectors(vectors)
    likeness = np.zeros(count)  # to the item before that is most like it
    left = np.ones(count, bool)
    order = np.empty(count, np.int64)
    for place in range(count):
        value = (1 - strength) * relevance - strength * likeness
        value[~left] = -np.inf
        order[place] = chosen = int(np.argmax(value))
        left[chosen] = False
        alike = units @ units[chosen]  # [N, D] @ [D] -> [N]
        likeness = alike if place == 0 else np.maximum(likeness, alike)
    return order


def intra_list_diversity(vectors: NDArray[np.float32]) -> float:
    """Mean of one less the cosine over the pairs of a list's items: 0 where all are alike, 0 for fewer than two.

    Parameters
    ----------
    vectors
        Of the items of one list, float32 [K, D].
    """
    count = len(vectors)
    if count < 2:
        return 0.0
    units = unit_vectors(vectors)
    alike = units @ units.T  # [K, K]
    return float((1 - alike[np.triu_indices(count, 1)]).mean())


def unit_vectors(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale vectors, float32 [N, D], to length 1; zero vectors stay."""
    units: NDArray[np.float32] = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-6)
    return units
