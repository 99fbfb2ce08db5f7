"""Shoppers at the moment of reading, for the tests of scenes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from feature_repo.buckets import DAY_MS
from feature_repo.events import Cart, Event
from feature_repo.state import UserState, update
from streams.catalogue import Catalogue
from streams.lists import ListRules
from streams.rule_effects import effects_of
from streams.rules import Rule
from streams.shopper import Filters, Shopper
from tests.streams.fakes import NOW_MS

ALL = Filters()
WIDE = ListRules(size=10, category_share=1.0)


def shopper(
    catalogue: Catalogue,
    *events: Event,
    likes: Sequence[float] = (1.0, 0.0, 0.0),
    popular: Sequence[float] = (),
    rules: Sequence[Rule] = (),
) -> Shopper:
    """A shopper who has done these things and whose vector is ``likes``; ``popular`` is by row, from row 1 on."""
    state = UserState()
    for event in events:
        update(state, event, None)
    scores = np.zeros(len(catalogue.in_stock), np.float32)
    scores[1 : 1 + len(popular)] = popular
    return Shopper(state, np.array(likes, np.float32), NOW_MS, catalogue, lambda: scores, effects_of(rules, catalogue))


def cart(item_id: str, action: str, days_ago: float = 0.0, price: float = 1.0, quantity: int = 1) -> Cart:
    ms = NOW_MS - round(days_ago * DAY_MS)
    return Cart(f"{action}-{item_id}-{ms}", "anna", item_id, action, quantity, price, ms)  # type: ignore[arg-type]
