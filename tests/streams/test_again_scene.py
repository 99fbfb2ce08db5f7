from __future__ import annotations

import pytest

from streams.again_scene import again_list
from tests.streams.fakes import item, stocked
from tests.streams.scene_shoppers import ALL, WIDE, cart, shopper
from tests.streams.test_lists import ids

TEA = item("tea", "teas", title="Green tea")
MUG = item("mug", "cups", title="Mug")


def bought(item_id: str, *days_ago: float) -> list[object]:
    return [cart(item_id, "purchase", days) for days in sorted(days_ago, reverse=True)]


def again(*events: object, **fields: object) -> list[tuple[str, str]]:
    catalogue = stocked(TEA, MUG, item("black", "teas", title="Black tea"), **fields)
    items = again_list(shopper(catalogue, *events), WIDE, ALL)  # type: ignore[arg-type]  # events
    return [(each.item_id, each.reason) for each in items]


def test_reason_has_the_time_since_and_the_users_own_interval() -> None:
    assert again(*bought("tea", 88, 58, 28)) == [("tea", "you bought Green tea 28 days ago, usually every 30 days")]


def test_what_was_bought_once_is_not_due() -> None:
    assert again(*bought("mug", 40)) == []


def test_item_bought_once_takes_the_interval_of_its_category() -> None:
    listed = dict(again(*bought("tea", 30), *bought("black", 44, 16, 2)))

    assert listed["tea"] == "you bought Green tea 30 days ago, and teas usually every 14 days"


@pytest.mark.parametrize(("days_ago", "due"), [(7, False), (8, True), (10, True), (40, True), (41, False)])
def test_item_is_due_from_shortly_before_its_interval_until_the_habit_has_ended(days_ago: float, due: bool) -> None:
    assert bool(again(*bought("tea", days_ago + 10, days_ago))) == due


def test_nearest_to_its_day_comes_first() -> None:
    listed = again(*bought("mug", 40, 20), *bought("tea", 45, 15))

    assert [item_id for item_id, _ in listed] == ["mug"]
    listed = again(*bought("mug", 40, 20), *bought("tea", 65, 35))
    assert [item_id for item_id, _ in listed] == ["mug", "tea"]


def test_lines_of_one_order_are_one_purchase() -> None:
    assert again(*bought("tea", 10.0, 9.9)) == []


def test_returned_in_the_cart_or_out_of_stock_is_not_offered_again() -> None:
    habit = bought("tea", 20, 10)

    assert again(*habit)
    assert not again(*bought("tea", 10), cart("tea", "purchase", 9, quantity=-1))
    assert not again(*habit, cart("tea", "add"))
    catalogue = stocked(item("tea", "teas", in_stock=False))
    assert again_list(shopper(catalogue, *habit), WIDE, ALL) == ()  # type: ignore[arg-type]  # events


def test_score_is_one_when_due_this_moment() -> None:
    catalogue = stocked(TEA)

    (due,) = again_list(shopper(catalogue, *bought("tea", 20, 10)), WIDE, ALL)  # type: ignore[arg-type]  # events

    assert (due.item_id, due.score) == ("tea", 1.0)
    assert ids([due]) == ["tea"]
