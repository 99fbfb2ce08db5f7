from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings

from feature_repo.events import Click, Event, Item
from feature_repo.state import UserState
from streams.catalogue import Catalogue
from streams.explain import Known, UnknownItem, explain, newest_event_ids
from streams.explanation import Explanation
from streams.lists import ListRules, build_lists
from streams.occlusion import occlude
from streams.rule_effects import effects_of
from streams.rules import Rule
from streams.store import RecommendationList
from tests.streams.fakes import NOW_MS, item, stocked
from tests.streams.test_list_properties import Case, cases
from tests.streams.test_lists import by_row, cart, click, ids, state_of
from tests.streams.test_occlusion import SummingRecommender

SHOP = (
    item("tent", "tents", title="Tent"),
    item("tarp", "tents", title="Tarp"),
    item("cup", "cups", title="Cup"),
    item("mug", "cups", title="Mug"),
    item("rug", "rugs", title="Rug"),
)
VECTORS = [[1, 0, 0], [0.9, 0.1, 0], [0, 1, 0], [0.1, 0.9, 0], [-1, -1, 0]]


def known(
    *events: Event,
    items: tuple[Item, ...] = SHOP,
    rules: ListRules | None = None,
    model: str = "recommender-1",
    of_shop: Sequence[Rule] = (),
) -> Known:
    """What is known of a user who has done these things, with the list that was made of it."""
    recommender = SummingRecommender()
    catalogue = stocked(*items, vectors=VECTORS[: len(items)], recommender=recommender)
    state, rules = state_of(*events), rules or ListRules(3, 1.0)
    occluded = occlude(state, catalogue, recommender)
    popular = np.zeros(len(catalogue.in_stock), np.float32)
    effects = effects_of(of_shop, catalogue)
    (listed,) = build_lists([state], occluded.vector[None], catalogue, lambda: popular, rules, effects)
    stored = RecommendationList("anna", "home", "list-1", listed, state.newest_event_id, state.newest_ms, NOW_MS, model)
    ids = {entry: f"id-of-{entry.item_id}" for entry in state.history}
    return Known("anna", state, occluded, catalogue, stored, rules, popular, ids, effects)


def hurdles(found: Explanation) -> list[str]:
    return [hurdle.name for hurdle in found.hurdles]


def test_item_of_the_list_has_its_place_events_and_parts() -> None:
    about = known(click("tent"), click("cup", NOW_MS + 1), click("tent", NOW_MS + 2))

    found = explain(about, "tarp")

    assert found.in_list
    assert not found.hurdles
    assert found.stored_list is not None
    assert (found.stored_list.position, found.stored_list.list_id, found.stored_list.model_version) == (
        2,
        "list-1",
        "recommender-1",
    )
    assert (found.rank, found.rank_among, found.rank_showable) == (2, 5, 2)
    assert found.score == pytest.approx(0.9 * 2 + 0.1, abs=1e-3)
    assert [(cause.item_id, round(cause.score_part, 2)) for cause in found.causes] == [
        ("tent", 0.9),
        ("tent", 0.9),
        ("cup", 0.1),
    ]
    assert [cause.occurred_at_ms for cause in found.causes] == [NOW_MS + 2, NOW_MS, NOW_MS + 1]
    assert {cause.event_id for cause in found.causes} == {"id-of-tent", "id-of-cup"}
    assert found.answer[0] == "Tarp stands at place 2 of 3 in the list of anna."
    assert "What raised its score most: you looked at Tent; you looked at Cup." in found.answer


@pytest.mark.parametrize(
    ("events", "hurdle", "words"),
    [
        ([cart("tarp", "purchase", NOW_MS + 1)], "bought", "the user has bought it"),
        ([cart("tarp", "add", NOW_MS + 1)], "in_cart", "it is in the user's cart"),
    ],
)
def test_what_the_user_has_is_kept_out_and_says_so(events: list[Event], hurdle: str, words: str) -> None:
    found = explain(known(click("tent"), *events), "tarp")

    assert not found.in_list
    assert hurdles(found) == [hurdle]
    assert found.rank_showable is None
    assert any(words in sentence for sentence in found.answer)


def test_sold_out_and_unpublished_items_say_so() -> None:
    sold_out = item("tarp", "tents", in_stock=False, published_at_ms=NOW_MS + 50)

    found = explain(known(click("tent"), items=(SHOP[0], sold_out)), "tarp")

    assert hurdles(found) == ["out_of_stock", "not_published"]


def test_item_that_scores_too_low_says_its_rank() -> None:
    found = explain(known(click("tent")), "rug")

    assert hurdles(found) == ["rank"]
    assert (found.rank, found.rank_showable) == (5, 5)
    assert "It would not be in a list made now: 3 items that may be shown come before it." in found.answer


def test_item_whose_category_is_full_says_so() -> None:
    found = explain(known(click("tent"), rules=ListRules(3, 0.4)), "tarp")

    assert hurdles(found) == ["category_share"]
    assert "the 1 places that a category may fill are taken by better items of tents" in found.hurdles[0].words


def test_item_that_diversity_passes_over_says_so() -> None:
    found = explain(known(click("tent"), rules=ListRules(2, 1.0, 0.9)), "tarp")

    assert hurdles(found) == ["diversity"]


def test_blocked_item_says_so() -> None:
    found = explain(known(click("tent"), of_shop=[Rule(rule_id="r", kind="block", brand="b")]), "tarp")
    assert not found.hurdles

    found = explain(known(click("tent"), of_shop=[Rule(rule_id="r", kind="block", category="tents")]), "tarp")

    assert hurdles(found) == ["blocked"]
    assert found.rank_showable is None


def test_boosted_and_pinned_items_say_so() -> None:
    boost = Rule(rule_id="b", kind="boost", item_id="mug", factor=1000.0, note="summer")
    pin = Rule(rule_id="p", kind="pin", item_id="rug", position=0)
    about = known(click("tent"), of_shop=[boost, pin])

    mug, rug, cup = explain(about, "mug"), explain(about, "rug"), explain(about, "cup")

    assert (mug.rules, mug.rank) == (["boosted: summer"], 1)
    assert "Rules of the shop count: boosted: summer." in mug.answer
    assert (rug.rules, rug.in_list, rug.rank) == (["pinned by the shop"], True, 5)
    assert (cup.rules, hurdles(cup)) == ([], ["rank"])


def test_list_of_another_model_is_told_apart() -> None:
    found = explain(known(click("tent"), model="recommender-0"), "tarp")

    assert "The list is by model recommender-0; what follows is by model recommender-1." in found.answer


def test_item_that_came_after_the_list_was_written_says_so() -> None:
    about = known(click("tent"))
    assert about.stored is not None
    stored = RecommendationList("anna", "home", "list-0", about.stored.items[:1], "e", NOW_MS, NOW_MS, "recommender-1")

    found = explain(Known(**{**vars(about), "stored": stored}), "tarp")

    assert not found.in_list
    assert not found.hurdles
    assert any("has changed since the list was written" in sentence for sentence in found.answer)


def test_user_of_whom_nothing_is_known_sees_what_is_popular() -> None:
    found = explain(known(Click("c", "anna", "sold elsewhere", NOW_MS), rules=ListRules(4, 1.0)), "rug")

    assert found.answer[-1].startswith("Nothing that this user did is about an item of the catalogue")
    assert hurdles(found) == ["nothing_known"]


def test_user_without_a_list_has_an_explanation() -> None:
    about = known(click("tent"))

    found = explain(Known(**{**vars(about), "stored": None}), "tarp")

    assert found.stored_list is None
    assert not found.in_list
    assert found.answer[0] == "anna has no list yet."


def test_unknown_item_says_what_to_do() -> None:
    with pytest.raises(UnknownItem, match=re.escape("item 'gone': saw nothing in the catalogue of 5 items")):
        explain(known(click("tent")), "gone")


def test_removed_item_says_where_it_stood() -> None:
    about = known(click("tent"))
    catalogue: Catalogue = stocked(*SHOP[:1], vectors=VECTORS[:1], recommender=SummingRecommender())

    with pytest.raises(UnknownItem, match="it stood at place 2 of list list-1, and was removed since"):
        explain(Known(**{**vars(about), "catalogue": catalogue}), "tarp")


def test_features_are_grouped_with_their_part_in_the_propensity() -> None:
    found = explain(known(click("tent"), cart("cup", "purchase", NOW_MS + 1)), "tarp")

    parts = {group.name: group.propensity_part for group in found.features}
    assert parts["mood"] == 0
    assert parts["money"] > 0
    assert [abs(part) for part in parts.values()] == sorted((abs(part) for part in parts.values()), reverse=True)
    values = {name: value for group in found.features for name, value in group.values.items()}
    assert (values["purchases_24h"], values["top_category"]) == (1.0, "cups")


def test_explanation_is_one_json_document() -> None:
    found = explain(known(click("tent")), "tarp")

    assert msgspec.json.decode(msgspec.json.encode(found), type=Explanation) == found


def test_empty_state_is_explained() -> None:
    about = known(click("tent"))
    recommender = SummingRecommender()
    empty = UserState()

    found = explain(
        Known(**{**vars(about), "state": empty, "occluded": occlude(empty, about.catalogue, recommender)}), "tarp"
    )

    assert found.causes == []


def test_state_tells_the_id_of_its_newest_event_alone() -> None:
    state = state_of(click("tent"), cart("cup", "add", NOW_MS + 5))

    assert newest_event_ids(state) == {state.history[-1]: f"add-cup-{NOW_MS + 5}"}
    assert newest_event_ids(UserState()) == {}


@given(case=cases)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_item_is_in_a_list_made_now_exactly_if_nothing_keeps_it_out(case: Case) -> None:
    recommender = SummingRecommender()
    catalogue = stocked(*case.items, vectors=case.vectors, recommender=recommender)
    state, popular = case.states[0], by_row(catalogue, case.popular)
    occluded = occlude(state, catalogue, recommender)
    (made,) = build_lists([state], occluded.vector[None], catalogue, lambda: popular, case.rules)
    stored = RecommendationList("anna", "home", "list-1", made, "event-1", state.newest_ms, NOW_MS, recommender.version)
    about = Known("anna", state, occluded, catalogue, stored, case.rules, popular, {})

    explained = [explain(about, each.item_id) for each in case.items]

    for found in explained:
        assert found.in_list == (found.item_id in ids(made)) == (not found.hurdles)
        assert (found.rank_showable is None) == bool(
            {"bought", "in_cart", "out_of_stock", "not_published"} & set(hurdles(found))
        )
        assert len(found.causes) == len(state.history)
    assert sorted(found.rank for found in explained) == list(range(1, len(explained) + 1))
    by_rank = sorted(explained, key=lambda found: found.rank)
    assert [found.score for found in by_rank] == sorted((found.score for found in explained), reverse=True)
