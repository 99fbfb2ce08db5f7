"""What to click: a shopper's taste and mission come in; the next product, and how well it suits them, go out."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from feature_repo.sources.shop.catalogue import Catalogue, Floats, Ints
from feature_repo.sources.shop.market import Market
from feature_repo.sources.shop.missions import Mission, choose
from feature_repo.sources.shop.shoppers import Shoppers, price_fit

ATTENTION_WEIGHT = 0.9
"""Utility of a unit of log attention, times the shopper's conformity."""
WANDERING_WEIGHT = 0.7
"""The same for clicks that follow no intent."""
TYPE_WEIGHT = 3.2
"""Utility of being the product type looked for, among the products of its category."""
LIKENESS_WEIGHT = 2.0
"""Utility of looking like the product clicked before."""
SEEN_WEIGHT = -1.2
"""Utility of each earlier click of the mission on the product, when browsing."""
FAVOURITE_WEIGHT = 4.0
"""Utility of being the product to buy again."""
REVISIT_WEIGHT = 1.5
"""Utility of a unit of fit among the products to look at again."""
REVISIT_SHARE = 0.16
AIMLESS_SHARE = 0.5
"""Share of clicks that follow no intent once nothing is looked for any more."""

Watch = Callable[[int, int, Floats], None]
"""Called before each click with the shopper, the product clicked and [N] the true probability of each product;
products clicked before in the mission are left out where they are looked at again."""


class Choices:
    """How a shopper chooses during one visit.

    Parameters
    ----------
    catalogue, shoppers, market
        The world.
    rng
        Source of every choice.
    shopper
        Index of the shopper.
    mission
        Why they come; only read here.
    start_ms
        When they come, milliseconds since the epoch; what is published later stays hidden.
    watch
        Called before each click, for evaluation.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        shoppers: Shoppers,
        market: Market,
        rng: np.random.Generator,
        shopper: int,
        mission: Mission,
        start_ms: int,
        watch: Watch | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._rng = rng
        self._shopper = shopper
        self._mission = mission
        self._watch = watch
        self._wandering = float(shoppers.wandering[shopper])
        style = shoppers.style[shopper] if mission.style is None else mission.style
        liking = catalogue.style @ style + shoppers.brand_taste[shopper][catalogue.brand_of]
        liking += price_fit(float(shoppers.price_sensitivity[shopper]), catalogue.relative_price)
        self.fit: Floats = (liking - liking.mean()) / liking.std()
        """[N] how well each product suits the shopper, mean 0 and deviation 1 over the catalogue."""
        attention = market.attention + np.where(catalogue.published_at_ms <= start_ms, 0.0, -np.inf)
        self._utility = liking + ATTENTION_WEIGHT * shoppers.conformity[shopper] * attention
        self._idle = WANDERING_WEIGHT * attention

    def click(self, in_cart: Iterable[int], last: int | None) -> int:
        """Choose the next product, given those in the cart and the product clicked last in the visit."""
        mission = self._mission
        focus = self._focus_logits(last)
        candidates = list(mission.looks or in_cart)
        wandering = self._wandering if focus is not None else AIMLESS_SHARE
        revisit = REVISIT_SHARE * (1 - wandering) if candidates else 0.0
        draw = self._rng.random()
        if draw < revisit or (focus is None and candidates and draw > wandering):
            product = candidates[choose(self._rng, REVISIT_WEIGHT * self.fit[candidates])]
        elif draw < revisit + wandering or focus is None:
            product = choose(self._rng, self._idle)
        else:
            product = int(self._near()[choose(self._rng, focus)])
        if self._watch is not None:
            self._report(self._watch, product, focus, wandering, revisit)
        return product

    def _near(self) -> Ints:
        """Products of the category looked in."""
        category = int(self._catalogue.types.category[self._mission.plan[0]])
        return self._catalogue.of_category[category]

    def _focus_logits(self, last: int | None) -> Floats | None:
        """Utility of each product of `_near` for what is looked for now; None when that is nothing in particular."""
        mission, catalogue = self._mission, self._catalogue
        if not mission.plan:
            return None
        near = self._near()
        logits: Floats = self._utility[near] + TYPE_WEIGHT * (catalogue.type_of[near] == mission.plan[0])
        if last is not None:
            logits += LIKENESS_WEIGHT * (catalogue.style[near] @ catalogue.style[last])
        for product, looks in mission.looks.items():
            place = catalogue.place_in_category[product]
            if place < len(near) and near[place] == product:
                logits[place] += SEEN_WEIGHT * looks
        if mission.favourite is not None:
            logits[catalogue.place_in_category[mission.favourite]] += FAVOURITE_WEIGHT
        return logits

    def _report(self, watch: Watch, product: int, focus: Floats | None, wandering: float, revisit: float) -> None:
        idle = np.exp(self._idle - self._idle.max())
        probabilities = wandering * idle / idle.sum()
        if focus is not None:
            wanted = np.exp(focus - focus.max())
            probabilities[self._near()] += (1 - wandering - revisit) * wanted / wanted.sum()
        watch(self._shopper, product, probabilities)
