"""Why a shopper comes: taste, season and trend come in; a mission, a plan of product types to look for, goes out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from feature_repo.sources.shop.catalogue import STYLE_DIMENSIONS, Catalogue, Floats
from feature_repo.sources.shop.market import Market
from feature_repo.sources.shop.shoppers import STYLE_STRENGTH, Shoppers
from feature_repo.sources.shop.words import CATEGORIES

MissionKind = Literal["explore", "kit", "gift", "trend", "restock", "complement", "cart"]
MISSION_SHARES: dict[MissionKind, float] = {"explore": 0.45, "kit": 0.33, "gift": 0.1, "trend": 0.12}
"""Shares of the missions that nothing prompted."""
MISSION_DAYS = 5.0
"""A mission is given up this long after its last visit."""
GIFT_CATEGORIES = ("Coffee & Tea", "Clothing", "Home", "Beauty", "Toys", "Kitchen")
STAY_IN_CATEGORY = 0.55


@dataclass
class Mission:
    """What a shopper is after, kept from visit to visit."""

    kind: MissionKind
    plan: list[int]
    """Product types in the order of interest; the first is looked for now."""
    urgency: float
    """Adds to the inclination to buy."""
    style: Floats | None = None
    """The taste of the one who gets the gift; None for the shopper's own."""
    favourite: int | None = None
    """The product to buy again."""
    visits: int = 0
    last_ms: int = 0
    looks: dict[int, int] = field(default_factory=dict)
    """Clicks so far on each product."""


class Missions:
    """Draws missions; see the module.

    Parameters
    ----------
    catalogue, shoppers, market
        The world.
    rng
        Source of every choice.
    """

    def __init__(self, catalogue: Catalogue, shoppers: Shoppers, market: Market, rng: np.random.Generator) -> None:
        self._types = catalogue.types
        self._type_of = catalogue.type_of
        self._shoppers = shoppers
        self._market = market
        self._rng = rng
        categories = len(CATEGORIES)
        self._of_category = [np.flatnonzero(catalogue.types.category == index) for index in range(categories)]
        self._gifts = [index for index in range(categories) if CATEGORIES[index].name in GIFT_CATEGORIES]
        self._kit_categories = np.zeros((len(catalogue.types.kits), categories))
        for row, kit in enumerate(catalogue.types.kits):
            for kind in kit:
                self._kit_categories[row, catalogue.types.category[kind]] += 1 / len(kit)

    def unprompted(self, shopper: int) -> Mission:
        """Draw a mission from the shopper's taste and what is in the air."""
        draw = self._rng.random()
        taste = self._shoppers.category_taste[shopper] + self._market.season
        urgency = float(0.6 * self._rng.normal())
        if draw < MISSION_SHARES["kit"]:
            kit = self._types.kits[choose(self._rng, self._kit_categories @ taste)]
            start = int(self._rng.integers(0, max(1, len(kit) - 2)))
            return Mission("kit", list(kit[start:]), urgency)
        draw -= MISSION_SHARES["kit"]
        if draw < MISSION_SHARES["gift"]:
            category = self._gifts[int(self._rng.integers(len(self._gifts)))]
            style = STYLE_STRENGTH * self._rng.normal(size=STYLE_DIMENSIONS) / np.sqrt(STYLE_DIMENSIONS)
            return Mission("gift", self._walk(category, steps=2), urgency + 0.7, style=style)
        draw -= MISSION_SHARES["gift"]
        if draw < MISSION_SHARES["trend"]:
            product = choose(self._rng, 1.2 * self._market.trending)
            return Mission("trend", [int(self._type_of[product])], urgency)
        return Mission("explore", self._walk(choose(self._rng, taste), steps=3), urgency)

    def complementing(self, kind: int) -> Mission | None:
        """Return a mission for what goes with the product type just bought; None when nothing does."""
        near = self._types.complements[kind]
        return Mission("complement", list(near[:3]), 0.8) if near else None

    def restocking(self, product: int) -> Mission:
        """Return a mission for buying a consumable again."""
        return Mission("restock", [int(self._type_of[product])], 4.0, favourite=product)

    def _walk(self, category: int, steps: int) -> list[int]:
        """Types to look for one after the other, from a category into others by what goes together."""
        members = self._of_category[category]
        plan = [int(members[self._rng.integers(len(members))])]
        for _ in range(steps - 1):
            near = self._types.complements[plan[-1]]
            if near and self._rng.random() > STAY_IN_CATEGORY:
                step = near[0]
            else:
                members = self._of_category[self._types.category[plan[-1]]]
                step = int(members[self._rng.integers(len(members))])
            if step not in plan:
                plan.append(step)
        return plan


def choose(rng: np.random.Generator, logits: Floats) -> int:
    """Draw an index with probability proportional to exp(logits)."""
    cumulated = np.exp(logits - logits.max()).cumsum()
    return int(cumulated.searchsorted(rng.random() * cumulated[-1], side="right"))
