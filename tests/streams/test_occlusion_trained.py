"""Occlusion on a trained and exported model: the planted log says which event brings an item about."""

from __future__ import annotations

import numpy as np

from feature_repo.features import NUMERIC_NAMES
from feature_repo.state import UserState, update
from scorer.recommender import Recommender
from streams.catalogue import Catalogue, encode_record
from streams.occlusion import Occluded, occlude, reasons_by_occlusion
from tests.planted import START_MS, planted
from tests.streams.fakes import ENCODER, consumed
from tests.streams.test_lists import click


def shop() -> tuple[Catalogue, Recommender]:
    trained = planted()
    recommender = Recommender.load(trained.bundle, "cpu")
    catalogue = Catalogue(recommender, ENCODER)
    for item in trained.dataset.items:
        vector = trained.text_vectors[trained.dataset.table.row(item.item_id)]
        catalogue.apply(consumed(item.item_id.encode(), encode_record(item, vector, ENCODER)))
    catalogue.refresh()
    return catalogue, recommender


def scored(*item_ids: str) -> tuple[UserState, Catalogue, Recommender, Occluded]:
    catalogue, recommender = shop()
    state = UserState()
    for place, item_id in enumerate(item_ids):
        update(state, click(item_id, START_MS + place * 60_000), None)
    return state, catalogue, recommender, occlude(state, catalogue, recommender)


def test_click_that_always_comes_before_an_item_is_its_reason() -> None:
    """Whoever clicks a3 clicks b3 next."""
    _, catalogue, _, occluded = scored("a1", "b1", "a5", "b5", "a3")

    (reason,) = reasons_by_occlusion(occluded, catalogue, ["b3"])

    assert reason.entry is not None
    assert (reason.entry.item_id, reason.words) == ("a3", "because you looked at a 3")
    assert reason.part > 0


def test_named_event_is_the_one_without_which_the_served_score_falls_most() -> None:
    state, catalogue, recommender, occluded = scored("a1", "b1", "a5", "b5", "a3")

    def score(left_out: int | None) -> float:
        history = [entry for place, entry in enumerate(state.history) if place != left_out]
        numbers = np.zeros((1, len(NUMERIC_NAMES)), np.float32)  # user vectors don't read them
        vector = recommender.score(recommender.encode([history], numbers, catalogue.table)).user_vectors[0]
        return float(catalogue.table.vectors[catalogue.table.row("b3")] @ vector)

    (reason,) = reasons_by_occlusion(occluded, catalogue, ["b3"])

    falls = [score(None) - score(place) for place in range(len(state.history))]
    assert reason.entry == state.history[int(np.argmax(falls))]
    assert np.isclose(reason.part, max(falls), atol=1e-4)
