from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from scorer.diversity import intra_list_diversity, marginal_order


def candidates(count: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    chance = np.random.default_rng(seed)
    return chance.normal(size=count).astype(np.float32), chance.normal(size=(count, 3)).astype(np.float32)


def slow_order(scores: NDArray[np.float32], vectors: NDArray[np.float32], strength: float) -> list[int]:
    """Look at all that is left for each place, and at all places before for each of those."""
    low, high = float(scores.min()), float(scores.max())
    norms = [max(float(np.linalg.norm(vector)), 1e-6) for vector in vectors]

    def value(place: int, before: list[int]) -> float:
        relevance = (float(scores[place]) - low) / (high - low) if high > low else 1.0
        alike = [float(vectors[place] @ vectors[other]) / norms[place] / norms[other] for other in before]
        return (1 - strength) * relevance - strength * max(alike, default=0.0)

    chosen: list[int] = []
    left = list(range(len(scores)))
    while left:
        chosen.append(max(left, key=lambda place: value(place, chosen)))
        left.remove(chosen[-1])
    return chosen


@given(count=st.integers(1, 15), seed=st.integers(0, 2**32), strength=st.sampled_from((0.0, 0.25, 0.6, 1.0)))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_every_place_goes_to_what_is_best_less_what_it_repeats(count: int, seed: int, strength: float) -> None:
    scores, vectors = candidates(count, seed)

    assert marginal_order(scores, vectors, strength).tolist() == slow_order(scores, vectors, strength)


@given(count=st.integers(1, 15), seed=st.integers(0, 2**32))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_strength_nought_is_the_order_of_scores_and_arrival(count: int, seed: int) -> None:
    scores, vectors = candidates(count, seed)
    scores = np.round(scores)  # ties are many

    assert marginal_order(scores, vectors, 0.0).tolist() == np.argsort(-scores, kind="stable").tolist()


def test_twin_of_the_best_waits_for_something_else() -> None:
    scores = np.array([1.0, 0.9, 0.5, 0.0], np.float32)
    vectors = np.array([[1, 0], [1, 0], [0, 1], [-1, 0]], np.float32)

    assert marginal_order(scores, vectors, 0.5).tolist() == [0, 3, 2, 1]
    assert marginal_order(scores, vectors, 0.1).tolist() == [0, 1, 2, 3]


def test_no_candidates_have_no_order() -> None:
    assert marginal_order(np.zeros(0, np.float32), np.zeros((0, 3), np.float32), 0.5).tolist() == []


def test_diversity_within_a_list_is_the_mean_distance_of_its_pairs() -> None:
    assert intra_list_diversity(np.array([[1, 0], [2, 0]], np.float32)) == pytest.approx(0.0)
    assert intra_list_diversity(np.array([[1, 0], [0, 3]], np.float32)) == pytest.approx(1.0)
    assert intra_list_diversity(np.array([[1, 0], [0, 1], [1, 0]], np.float32)) == pytest.approx(2 / 3)
    assert intra_list_diversity(np.ones((1, 2), np.float32)) == 0.0
