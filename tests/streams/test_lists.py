from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from feature_repo.events import Cart, Click, Event, Review
from feature_repo.state import UserState, update
from streams import lists as lists_module
from streams.catalogue import Catalogue
from streams.lists import ListRules, build_lists, falls_back, list_id
from streams.store import RecommendedItem
from tests.streams.fakes import NOW_MS, item, stocked

WIDE = ListRules(size=10, category_share=1.0)
HALF = ListRules(size=4, category_share=0.5)


def state_of(*events: Event) -> UserState:
    state = UserState()
    for event in events:
        update(state, event, None)
    return state


def click(item_id: str, ms: int = NOW_MS) -> Click:
    return Click(f"click-{item_id}-{ms}", "anna", item_id, ms)


def cart(item_id: str, action: Any, ms: int = NOW_MS, quantity: int = 1) -> Cart:
    return Cart(f"{action}-{item_id}-{ms}", "anna", item_id, action, quantity, 1.0, ms)


def one_list(
    state: UserState,
    catalogue: Catalogue,
    rules: ListRules = WIDE,
    likes: Sequence[float] = (1.0, 0.0, 0.0),
    popular: Sequence[float] = (),
) -> tuple[RecommendedItem, ...]:
    """The list of one user, whose vector is ``likes``; ``popular`` by row, from row 1 on."""
    (items,) = build_lists([state], np.array([likes], np.float32), catalogue, lambda: by_row(catalogue, popular), rules)
    return items


def by_row(catalogue: Catalogue, popular: Sequence[float]) -> npt.NDArray[np.float32]:
    scores = np.zeros(len(catalogue.in_stock), np.float32)
    scores[1 : 1 + len(popular)] = popular
    return scores


def ids(items: Sequence[RecommendedItem]) -> list[str]:
    return [each.item_id for each in items]


def line_of(*names: str, **fields: Any) -> Catalogue:
    """Items whose score is the smaller the later they stand."""
    vectors = [[1.0 - 0.01 * place, 0.0, 0.0] for place in range(len(names))]
    return stocked(*(item(name, **fields) for name in names), vectors=vectors)


def test_best_score_comes_first() -> None:
    catalogue = stocked(item("low"), item("high"), item("middle"), vectors=[[0.1, 0, 0], [0.9, 0, 0], [0.5, 0, 0]])

    items = one_list(state_of(click("low")), catalogue)

    assert ids(items) == ["high", "middle", "low"]
    assert [round(each.score, 2) for each in items] == [0.9, 0.5, 0.1]


def test_each_user_of_a_batch_gets_their_own_list() -> None:
    catalogue = stocked(item("tent"), item("cup"), vectors=[[1, 0, 0], [0, 1, 0]])
    states = [state_of(click("tent")), state_of(click("cup"), cart("tent", "purchase"))]

    lists = build_lists(
        states, np.array([[1, 0, 0], [1, 0.5, 0]], np.float32), catalogue, lambda: by_row(catalogue, ()), WIDE
    )

    assert [ids(items) for items in lists] == [["tent", "cup"], ["cup"]]


def test_list_is_cut_to_its_size() -> None:
    items = one_list(state_of(click("a")), line_of(*"abcdefgh"), ListRules(3, 1.0))

    assert ids(items) == ["a", "b", "c"]


def test_what_was_bought_is_left_out_until_it_is_returned() -> None:
    catalogue = line_of("a", "b")

    assert ids(one_list(state_of(cart("a", "purchase")), catalogue)) == ["b"]
    returned = state_of(cart("a", "purchase"), cart("a", "purchase", NOW_MS + 1, quantity=-1))
    assert ids(one_list(returned, catalogue)) == ["a", "b"]


def test_what_is_in_the_cart_is_left_out() -> None:
    catalogue = line_of("a", "b")

    assert ids(one_list(state_of(cart("a", "add")), catalogue)) == ["b"]
    assert ids(one_list(state_of(cart("a", "add"), cart("a", "remove", NOW_MS + 1)), catalogue)) == ["a", "b"]


def test_what_is_out_of_stock_is_left_out() -> None:
    catalogue = stocked(item("a"), item("b", in_stock=False))

    assert ids(one_list(state_of(click("b")), catalogue)) == ["a"]


def test_what_is_not_yet_published_at_the_users_time_is_left_out() -> None:
    catalogue = stocked(item("a"), item("b", published_at_ms=NOW_MS + 1))

    assert ids(one_list(state_of(click("a", NOW_MS)), catalogue)) == ["a"]
    assert ids(one_list(state_of(click("a", NOW_MS + 1)), catalogue)) == ["a", "b"]


def test_unknown_item_that_was_bought_takes_nothing_else_out() -> None:
    assert ids(one_list(state_of(click("a"), cart("sold elsewhere", "purchase")), line_of("a", "b"))) == ["a", "b"]


def test_category_fills_no_more_than_its_share() -> None:
    catalogue = stocked(
        *(item(f"tent-{n}", "tents") for n in range(6)),
        *(item(f"cup-{n}", "cups") for n in range(3)),
        vectors=[[0.9 - 0.01 * n, 0, 0] for n in range(6)] + [[0.2 - 0.01 * n, 0, 0] for n in range(3)],
    )

    assert ids(one_list(state_of(click("tent-0")), catalogue, HALF)) == ["tent-0", "tent-1", "cup-0", "cup-1"]


def test_category_that_holds_all_of_the_best_still_leaves_room_for_others() -> None:
    """Hundreds of tents score higher than the first cup."""
    catalogue = stocked(
        *(item(f"tent-{n:03}", "tents") for n in range(300)),
        *(item(f"cup-{n}", "cups") for n in range(2)),
        *(item(f"rug-{n}", "rugs") for n in range(2)),
        vectors=[[0.9 - 0.001 * n, 0, 0] for n in range(300)] + [[0.2, 0, 0], [0.1, 0, 0], [0.15, 0, 0], [0.05, 0, 0]],
    )

    items = ids(one_list(state_of(click("tent-000")), catalogue, ListRules(6, 0.34)))

    assert items == ["tent-000", "tent-001", "cup-0", "rug-0", "cup-1", "rug-1"]


def test_category_fills_the_rest_when_nothing_else_is_left() -> None:
    catalogue = stocked(
        *(item(f"tent-{n}", "tents") for n in range(6)),
        item("cup", "cups"),
        vectors=[[0.9 - 0.01 * n, 0, 0] for n in range(6)] + [[0.2, 0, 0]],
    )

    assert ids(one_list(state_of(click("cup")), catalogue, HALF)) == ["tent-0", "tent-1", "cup", "tent-2"]


def test_items_without_a_category_do_not_crowd_each_other_out() -> None:
    catalogue = stocked(
        *(item(name) for name in "abcdef"), item("cup", "cups"), vectors=[[0.9 - 0.1 * n, 0, 0] for n in range(7)]
    )

    assert ids(one_list(state_of(click("a")), catalogue, HALF)) == ["a", "b", "c", "d"]


def test_equal_scores_go_by_the_order_of_arrival() -> None:
    catalogue = stocked(*(item(f"same-{n:02}") for n in range(60)))

    items = one_list(state_of(click("same-07")), catalogue, ListRules(5, 1.0))

    assert ids(items) == ["same-00", "same-01", "same-02", "same-03", "same-04"]


def test_reason_is_the_nearest_item_of_the_users_own_history() -> None:
    catalogue = stocked(
        item("tent", title="Tent"), item("cup", title="Cup"), item("peg", title="Peg"), item("mug", title="Mug"),
        vectors=[[1, 0, 0], [0, 1, 0], [0.9, 0.1, 0], [0.1, 0.9, 0]],
    )  # fmt: skip

    items = one_list(state_of(click("tent"), cart("cup", "add", NOW_MS + 1)), catalogue, likes=(1.0, 0.5, 0.0))

    assert {each.item_id: each.reason for each in items} == {
        "tent": "because you looked at Tent",
        "peg": "because you looked at Tent",
        "mug": "because you put in your cart Cup",
    }


def test_reason_names_the_newest_thing_done_with_the_item() -> None:
    catalogue = stocked(item("tent", title="Tent"), item("peg", title="Peg"))
    events: list[Event] = [click("tent"), cart("tent", "purchase", NOW_MS + 1)]

    assert one_list(state_of(*events), catalogue)[0].reason == "because you bought Tent"
    events.append(Review("r", "anna", "tent", "good", NOW_MS + 2))
    assert one_list(state_of(*events), catalogue)[0].reason == "because you reviewed Tent"


def test_user_of_unknown_items_gets_what_is_popular() -> None:
    catalogue = stocked(item("a"), item("b"), item("c"), item("d", in_stock=False))

    items = one_list(state_of(click("sold elsewhere")), catalogue, popular=(0.0, 5.0, 7.0, 9.0))

    assert [(each.item_id, round(each.score, 1), each.reason) for each in items] == [
        ("c", 7.0, "popular now"),
        ("b", 5.0, "popular now"),
        ("a", 0.0, "new in the shop"),
    ]


def test_newest_come_first_among_what_nobody_has_touched() -> None:
    catalogue = stocked(
        item("old", published_at_ms=NOW_MS - 10**9), item("new", published_at_ms=NOW_MS - 10), item("touched")
    )

    items = one_list(state_of(click("sold elsewhere")), catalogue, popular=(0.0, 0.0, 1.0))

    assert ids(items) == ["touched", "new", "old"]


def test_popularity_is_asked_for_only_when_it_is_needed() -> None:
    def never() -> npt.NDArray[np.float32]:
        raise AssertionError("popularity was asked for")

    catalogue = line_of("a", "b")

    build_lists([state_of(click("a"))], np.array([[1, 0, 0]], np.float32), catalogue, never, WIDE)


def test_what_is_old_and_untouched_is_not_called_new() -> None:
    catalogue = stocked(item("old", published_at_ms=NOW_MS - 31 * 86_400_000), item("fresh"))

    items = one_list(state_of(click("elsewhere")), catalogue)

    assert [(each.item_id, each.reason) for each in items] == [
        ("fresh", "new in the shop"),
        ("old", "one of the newest"),
    ]
    assert falls_back(items)


def test_empty_catalogue_makes_an_empty_list() -> None:
    assert one_list(state_of(click("a")), stocked()) == ()


def test_all_bought_makes_an_empty_list() -> None:
    assert one_list(state_of(cart("a", "purchase")), line_of("a")) == ()


def test_list_id_tells_user_scene_epoch_and_offsets_apart() -> None:
    names = [
        list_id("a", "home", 1, {"clicks-0": 3, "carts-0": 4}),
        list_id("b", "home", 1, {"clicks-0": 3, "carts-0": 4}),
        list_id("a", "cart", 1, {"clicks-0": 3, "carts-0": 4}),
        list_id("a", "home", 2, {"clicks-0": 3, "carts-0": 4}),
        list_id("a", "home", 1, {"clicks-0": 4, "carts-0": 3}),
    ]

    assert len(set(names)) == 5
    assert names[0] == list_id("a", "home", 1, {"carts-0": 4, "clicks-0": 3})


def test_long_list_keeps_to_every_share() -> None:
    chance = np.random.default_rng(0)
    items = [item(f"i{n:04}", f"c{n % 7}") for n in range(700)]
    catalogue = stocked(*items, vectors=chance.normal(size=(700, 3)).tolist())
    category = {each.item_id: each.category for each in items}

    for place in range(20):
        chosen = one_list(state_of(click("i0000")), catalogue, ListRules(20, 0.2), likes=chance.normal(size=3).tolist())
        filled = Counter(category[each.item_id] for each in chosen)
        assert len(chosen) == 20, place
        assert max(filled.values()) <= 4, filled


def test_diversity_lets_something_else_stand_before_more_of_the_same() -> None:
    catalogue = stocked(item("tent"), item("tarp"), item("cup"), vectors=[[0.9, 0.1, 0], [0.8, 0.1, 0], [0.5, -0.9, 0]])

    assert ids(one_list(state_of(click("tent")), catalogue, ListRules(3, 1.0))) == ["tent", "tarp", "cup"]
    assert ids(one_list(state_of(click("tent")), catalogue, ListRules(3, 1.0, 0.6))) == ["tent", "cup", "tarp"]


def test_diversity_looks_at_no_more_items_however_many_tie(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def order(scores: npt.NDArray[np.float32], vectors: Any, diversity: float) -> list[int]:
        asked.append(len(scores))
        return list(range(len(scores)))

    monkeypatch.setattr(lists_module, "marginal_order", order)
    catalogue = stocked(*(item(f"i{n:03}") for n in range(300)), vectors=[[1.0, 0.0, 0.0]] * 300)

    chosen = one_list(state_of(click("i000")), catalogue, ListRules(10, 1.0, 0.5))

    assert asked == [10 * lists_module.SPARE]
    assert ids(chosen) == [f"i{n:03}" for n in range(10)]


def test_diversity_keeps_to_the_share_of_a_category() -> None:
    chance = np.random.default_rng(1)
    items = [item(f"i{n:03}", f"c{n % 5}") for n in range(300)]
    catalogue = stocked(*items, vectors=chance.normal(size=(300, 3)).tolist())
    category = {each.item_id: each.category for each in items}

    chosen = one_list(state_of(click("i000")), catalogue, ListRules(10, 0.2, 0.5))

    assert Counter(category[each.item_id] for each in chosen) == {f"c{n}": 2 for n in range(5)}
