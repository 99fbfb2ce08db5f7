"""Any catalogue and any rules: what is blocked is in no list, what is pinned at its place, and reasons say so."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.catalogue import Catalogue
from streams.lists import ListRules, build_lists
from streams.rule_effects import RuleEffects, effects_of
from streams.rules import Rule, Rules, encode_rule
from streams.store import RecommendedItem
from tests.streams.fakes import NOW_MS, consumed, item, stocked
from tests.streams.test_lists import cart, click, ids, line_of, state_of

WIDE = ListRules(size=10, category_share=1.0)


def listed(catalogue: Catalogue, *rules: Rule, size: int = 10, share: float = 1.0) -> tuple[RecommendedItem, ...]:
    """The list of a shopper whose scores fall with the row, under these rules."""
    (items,) = build_lists(
        [state_of(click("a"))],
        np.array([[1, 0, 0]], np.float32),
        catalogue,
        lambda: np.zeros(len(catalogue.in_stock), np.float32),
        ListRules(size, share),
        effects_of(rules, catalogue),
    )
    return items


def block(item_id: str) -> Rule:
    return Rule(rule_id=f"block {item_id}", kind="block", item_id=item_id)


def pin(item_id: str, position: int, rule_id: str = "p") -> Rule:
    return Rule(rule_id=rule_id, kind="pin", item_id=item_id, position=position, note="summer")


def test_blocked_brand_is_in_no_list() -> None:
    catalogue = stocked(item("a", brand="Kiln"), item("b", brand="Forge"), item("c"))

    assert ids(listed(catalogue, Rule(rule_id="r", kind="block", brand="Kiln"))) == ["b", "c"]
    assert ids(listed(catalogue, Rule(rule_id="r", kind="block", brand="unknown"))) == ["a", "b", "c"]


def test_pinned_item_stands_at_its_place_and_says_so() -> None:
    items = listed(line_of(*"abcde"), pin("e", 1))

    assert ids(items) == ["a", "e", "b", "c", "d"]
    assert items[1].reason == "pinned: summer"
    assert items[2].reason == "because you looked at A"


def test_pin_beyond_a_short_list_stands_last() -> None:
    assert ids(listed(line_of(*"abc"), pin("a", 7))) == ["b", "c", "a"]


def test_two_pins_of_one_place_stand_side_by_side_in_the_order_of_their_ids() -> None:
    items = listed(line_of(*"abcdef"), pin("f", 1, "first"), pin("e", 1, "second"), pin("d", 0, "third"), size=4)

    assert ids(items) == ["d", "f", "e", "a"]


def test_what_was_bought_is_not_pinned_and_what_is_blocked_neither() -> None:
    catalogue = line_of(*"abc")
    effects = effects_of([pin("b", 0), pin("c", 1, "q"), block("c")], catalogue)
    (items,) = build_lists(
        [state_of(click("a"), cart("b", "purchase"))],
        np.array([[1, 0, 0]], np.float32),
        catalogue,
        lambda: np.zeros(4, np.float32),
        WIDE,
        effects,
    )

    assert ids(items) == ["a"]


def test_boost_multiplies_the_odds_and_bury_too_and_both_say_so() -> None:
    """Scores of 1, 0.99 and 0.98: twice as likely is 0.69 more."""
    boost = Rule(rule_id="b", kind="boost", item_id="c", factor=2.0)
    bury = Rule(rule_id="c", kind="bury", item_id="a", factor=0.5, note="too many returns")

    items = listed(line_of(*"abc"), boost, bury)

    assert ids(items) == ["c", "b", "a"]
    assert [each.score for each in items] == pytest.approx([0.98 + math.log(2), 0.99, 1 - math.log(2)], abs=1e-3)
    assert items[0].reason == "because you looked at A; boosted by the shop"
    assert items[2].reason == "because you looked at A; buried: too many returns"


def test_boosts_of_one_item_multiply() -> None:
    catalogue = stocked(item("a", "cups", brand="Kiln"))
    effects = effects_of(
        [
            Rule(rule_id="b", kind="boost", brand="Kiln", factor=3.0),
            Rule(rule_id="c", kind="bury", category="cups", factor=0.5),
        ],
        catalogue,
    )

    assert effects is not None
    assert effects.factor.tolist() == [1.0, 1.5]


@pytest.mark.parametrize(("kind", "factor"), [("bury", 0.001), ("boost", 1000.0)])
def test_many_rules_for_one_item_come_to_a_number(kind: str, factor: float) -> None:
    rules = [moving(f"r{number}", kind, factor) for number in range(40)]

    effects = effects_of(rules, stocked(item("tent")))

    assert effects is not None
    assert (effects.factor > 0).all()
    assert np.isfinite(np.log(effects.factor)).all()


def moving(rule_id: str, kind: Any, factor: float) -> Rule:
    return Rule(rule_id=rule_id, kind=kind, item_id="tent", factor=factor)


def test_effects_are_kept_until_rules_rows_or_time_change() -> None:
    rules, catalogue = Rules(), line_of(*"ab")
    effects = RuleEffects(rules)
    assert effects.of("home", catalogue, NOW_MS) is None
    rules.apply(consumed(b"r", encode_rule(Rule(rule_id="r", kind="block", item_id="c", until_ms=NOW_MS + 9))))
    first = effects.of("home", catalogue, NOW_MS)

    assert first is not None
    assert effects.of("home", catalogue, NOW_MS + 1) is first
    catalogue.apply(consumed(b"a", None))
    catalogue.refresh()
    assert effects.of("home", catalogue, NOW_MS) is not first
    assert effects.of("home", catalogue, NOW_MS + 9) is None


def some_rules(chance: random.Random, count: int) -> list[Rule]:
    """Rules about few items, so that many meet."""
    rules = []
    for number in range(chance.randint(1, 8)):
        kind = chance.choice(("pin", "pin", "boost", "bury", "block"))
        target = {"item_id": f"i{chance.randrange(count + 1)}"}
        if kind != "pin":
            target = chance.choice((target, {"category": chance.choice("ab")}, {"brand": chance.choice("xy")}))
        rules.append(
            Rule(
                rule_id=f"r{number}",
                kind=kind,  # type: ignore[arg-type]  # one of the kinds
                position=chance.randrange(8) if kind == "pin" else None,
                factor={"boost": 3.0, "bury": 0.2}.get(kind),
                **target,  # type: ignore[arg-type]  # names of fields
            )
        )
    return rules


def target_of(rules: Sequence[Rule], kind: str, catalogue: Catalogue) -> set[str]:
    return {
        each.item_id
        for each in catalogue.items()
        for rule in rules
        if rule.kind == kind
        and (rule.item_id == each.item_id or rule.category == (each.category or "") or rule.brand == (each.brand or ""))
    }


@given(seed=st.integers(0, 2**32), count=st.integers(1, 30), size=st.integers(1, 8))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_any_rules_hold_in_any_catalogue(seed: int, count: int, size: int) -> None:
    chance = random.Random(seed)
    catalogue = stocked(
        *(
            item(
                f"i{place}",
                chance.choice((None, "a", "b")),
                brand=chance.choice((None, "x", "y")),
                in_stock=chance.random() < 0.8,
            )
            for place in range(count)
        ),
        item("a"),
        vectors=[[float(chance.randint(0, 3)), 0.0, 0.0] for _ in range(count + 1)],
    )
    rules = some_rules(chance, count)

    items = listed(catalogue, *rules, size=size)

    seen = ids(items)
    blocked = target_of(rules, "block", catalogue)
    shown = {each.item_id for each in catalogue.items() if each.in_stock} - blocked
    assert len(seen) == len(set(seen)) == min(size, len(shown))
    assert set(seen) <= shown
    pins = sorted((rule for rule in rules if rule.kind == "pin"), key=lambda rule: (rule.position, rule.rule_id))
    taken: dict[str, int] = {}
    for rule in pins:
        place = rule.position or 0
        while place in taken.values():
            place += 1
        if rule.item_id in shown and rule.item_id not in taken and place < size:
            taken[str(rule.item_id)] = place
    for item_id, place in taken.items():
        behind = sum(other > place for other in taken.values())
        assert seen.index(item_id) == min(place, len(seen) - 1 - behind)
    for each in items:
        pinned = each.item_id in taken
        assert each.reason.startswith("pinned") == pinned
        assert ("boosted" in each.reason) == (not pinned and each.item_id in target_of(rules, "boost", catalogue))
        assert ("buried" in each.reason) == (not pinned and each.item_id in target_of(rules, "bury", catalogue))
    free = [each.score for each in items if each.item_id not in taken]
    assert free == sorted(free, reverse=True)
