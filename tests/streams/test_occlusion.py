from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from feature_repo.features import NUMERIC_NAMES
from feature_repo.state import Entry, UserState
from scorer.recommender import Scores
from streams.catalogue import Catalogue
from streams.occlusion import ALTOGETHER, Occlusions, group_columns, occlude, reasons_by_occlusion
from tests.streams.fakes import NOW_MS, FakeRecommender, item, stocked
from tests.streams.test_lists import cart, click, state_of


class SummingRecommender(FakeRecommender):
    """A user's vector is the sum of their items' vectors; their propensity the share of features that are not 0."""

    def __init__(self, max_length: int = 50) -> None:
        super().__init__()
        self.max_length = max_length

    def encode(self, histories: Sequence[Any], numbers: npt.NDArray[np.float32], table: Any) -> Any:
        vectors = [
            table.vectors[table.rows(entry.item_id for entry in history[-self.max_length :])].sum(axis=0)
            for history in histories
        ]
        return vectors, numbers

    def score(self, inputs: Any) -> Scores:
        vectors, numbers = inputs
        self.scored.append(len(vectors))
        return Scores(np.stack(vectors).astype(np.float32), (numbers != 0).mean(axis=1).astype(np.float32))


def shop(recommender: Any) -> Catalogue:
    return stocked(
        item("tent", title="Tent"), item("cup", title="Cup"), item("peg", title="Peg"), item("mug", title="Mug"),
        vectors=[[1, 0, 0], [0, 1, 0], [0.9, -0.2, 0], [0.1, 0.9, 0]], recommender=recommender,
    )  # fmt: skip


def entry_of(state: UserState, item_id: str) -> Entry:
    return next(entry for entry in state.history if entry.item_id == item_id)


def without(state: UserState, entry: Entry) -> UserState:
    return state_of(*(click(each.item_id, each.ms) for each in state.history if each != entry))


def test_reason_names_the_event_without_which_the_score_falls_most() -> None:
    """Held against scoring the user anew without each event, one at a time."""
    recommender = SummingRecommender()
    catalogue = shop(recommender)
    state = state_of(click("tent"), click("cup", NOW_MS + 1), click("mug", NOW_MS + 2))

    def score(of: UserState, item_id: str) -> float:
        return float(catalogue.table.vectors[catalogue.table.row(item_id)] @ occlude(of, catalogue, recommender).vector)

    (reason,) = reasons_by_occlusion(occlude(state, catalogue, recommender), catalogue, ["peg"])

    falls = {each.item_id: score(state, "peg") - score(without(state, each), "peg") for each in state.history}
    assert reason.entry == entry_of(state, "tent")
    assert max(falls, key=lambda item_id: falls[item_id]) == "tent"
    assert np.isclose(reason.part, falls["tent"])
    assert reason.words == "because you looked at Tent"


def test_items_of_one_list_have_reasons_of_their_own() -> None:
    recommender = SummingRecommender()
    catalogue = shop(recommender)
    state = state_of(click("tent"), cart("cup", "add", NOW_MS + 1))

    reasons = reasons_by_occlusion(occlude(state, catalogue, recommender), catalogue, ["mug", "peg"])

    assert [each.words for each in reasons] == ["because you put in your cart Cup", "because you looked at Tent"]


def test_item_that_no_event_raises_says_so() -> None:
    recommender = SummingRecommender()
    catalogue = shop(recommender)

    (reason,) = reasons_by_occlusion(occlude(state_of(click("cup")), catalogue, recommender), catalogue, ["peg"])

    assert (reason.entry, reason.part, reason.words) == (None, 0.0, ALTOGETHER)


def test_user_without_a_history_has_no_reasons() -> None:
    recommender = SummingRecommender()
    catalogue = shop(recommender)
    occluded = occlude(UserState(), catalogue, recommender)

    assert occluded.entries == ()
    assert [each.words for each in reasons_by_occlusion(occluded, catalogue, ["tent"])] == [ALTOGETHER]


def test_only_entries_that_the_model_reads_are_left_out() -> None:
    recommender = SummingRecommender(max_length=2)
    catalogue = shop(recommender)
    state = state_of(click("tent"), click("cup", NOW_MS + 1), click("mug", NOW_MS + 2))

    occluded = occlude(state, catalogue, recommender)

    assert [entry.item_id for entry in occluded.entries] == ["cup", "mug"]
    assert occluded.without.shape == (2, 3)
    assert recommender.scored == [1 + 2 + len(group_columns())]


def test_part_of_a_group_of_features_is_that_of_its_columns() -> None:
    recommender = SummingRecommender()
    catalogue = shop(recommender)

    occluded = occlude(state_of(click("tent"), cart("cup", "purchase", NOW_MS + 1)), catalogue, recommender)

    assert set(occluded.propensity_without) == set(group_columns())
    # Nothing was reviewed: as of a user of whom nothing is known. Something was bought: not so.
    assert occluded.propensity_without["mood"] == occluded.propensity
    assert occluded.propensity_without["money"] < occluded.propensity


def test_every_number_that_the_model_reads_is_in_one_group() -> None:
    places = sorted(place for group in group_columns().values() for place in group)

    assert places == list(range(len(NUMERIC_NAMES)))


def test_occluded_user_is_kept_until_the_next_event_or_model() -> None:
    recommender, other = SummingRecommender(), SummingRecommender()
    other.version = "recommender-2"
    catalogue = shop(recommender)
    occlusions = Occlusions(most=2)
    before, after = state_of(click("tent")), state_of(click("tent"), click("cup", NOW_MS + 1))

    first = occlusions.of("anna", before, catalogue, recommender)

    assert occlusions.of("anna", before, catalogue, recommender) is first
    assert occlusions.of("anna", after, catalogue, recommender) is not first
    assert occlusions.of("anna", before, catalogue, other) is not first
    assert occlusions.of("anna", before, catalogue, recommender) is not first, "two are kept, this was the third"
