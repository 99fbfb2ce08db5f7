"""The shop's rules in the scenes of a user: what is blocked is in none; pins and boosts move items, and say so."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.rule_effects import effects_of
from streams.rules import Rule
from streams.scenes import SCENES, SHELVES, scene_list
from streams.shopper import Filters, Shopper
from tests.streams.fakes import item, stocked
from tests.streams.scene_shoppers import ALL, WIDE, cart, shopper
from tests.streams.test_lists import click, ids
from tests.streams.test_scenes import make_case

TENTS = Filters(category="tents")


def boost(item_id: str, factor: float) -> Rule:
    return Rule(rule_id="b", kind="boost" if factor > 1 else "bury", item_id=item_id, factor=factor, note="summer")


@pytest.mark.parametrize("scene", SCENES)
@given(count=st.integers(1, 40), seed=st.integers(0, 2**32))
@settings(max_examples=30, deadline=None, derandomize=True)
def test_what_is_blocked_is_in_no_scene_and_nothing_else_is_lost(scene: str, count: int, seed: int) -> None:
    who, filters, rules, pairs = make_case(count, seed)
    if scene in SHELVES and getattr(filters, scene) is None:
        filters = Filters(**{**vars(filters), scene: {"category": "a", "brand": "x"}[scene]})
    free = ids(scene_list(scene, who, rules, filters, pairs))
    chance = random.Random(seed)
    blocked = chance.choice(free) if free else "i0"
    block = Rule(rule_id="r", kind="block", item_id=blocked)
    under_rules = Shopper(**{**vars(who), "effects": effects_of([block], who.catalogue)})

    listed = ids(scene_list(scene, under_rules, rules, filters, pairs))

    assert blocked not in listed
    assert len(listed) >= len(free) - 1


def test_boost_moves_an_item_of_a_shelf_and_is_named() -> None:
    catalogue = stocked(item("tent", "tents"), item("tarp", "tents"), vectors=[[0.9, 0, 0], [0.5, 0, 0]])

    items = scene_list("category", shopper(catalogue, click("tent"), rules=[boost("tarp", 2.0)]), WIDE, TENTS, {})

    assert ids(items) == ["tarp", "tent"]
    assert items[0].reason.endswith("; boosted: summer")


def test_bury_moves_what_is_popular_for_an_unknown_visitor() -> None:
    catalogue = stocked(item("tent", "tents"), item("tarp", "tents"))
    who = shopper(catalogue, popular=(3.0, 2.0), rules=[boost("tent", 0.5)])

    assert ids(scene_list("category", who, WIDE, TENTS, {})) == ["tarp", "tent"]


def test_boost_moves_what_is_due_again() -> None:
    catalogue = stocked(item("tea"), item("soap"))
    habits = [cart(name, "purchase", days) for name, at in (("tea", (20, 10)), ("soap", (24, 11))) for days in at]

    assert ids(scene_list("again", shopper(catalogue, *habits), WIDE, ALL, {})) == ["tea", "soap"]
    boosted = shopper(catalogue, *habits, rules=[boost("soap", 3.0)])
    assert ids(scene_list("again", boosted, WIDE, ALL, {})) == ["soap", "tea"]


def test_boost_moves_what_is_bought_together() -> None:
    catalogue = stocked(item("tent", "tents"), item("peg", "pegs"), item("rug", "rugs"))
    together = {"tent": [("peg", 0.9), ("rug", 0.5)]}

    items = scene_list("cart", shopper(catalogue, cart("tent", "add")), WIDE, ALL, together)
    assert ids(items) == ["peg", "rug"]
    boosted = shopper(catalogue, cart("tent", "add"), rules=[boost("rug", 3.0)])
    assert ids(scene_list("cart", boosted, WIDE, ALL, together)) == ["rug", "peg"]


def test_pin_stands_at_its_place_only_where_it_may_be_shown() -> None:
    catalogue = stocked(item("tent", "tents"), item("tarp", "tents"), item("cup", "cups"))
    pins = [
        Rule(rule_id="1", kind="pin", item_id="tarp", position=0, note="new"),
        Rule(rule_id="2", kind="pin", item_id="cup", position=0),
    ]

    items = scene_list("category", shopper(catalogue, click("tent"), rules=pins), WIDE, TENTS, {})

    assert ids(items) == ["tarp", "tent"]
    assert items[0].reason == "pinned: new"
