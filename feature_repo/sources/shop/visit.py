"""A visit: a shopper with a mission comes in; clicks, adds, removals and purchases go out, one after the other."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from feature_repo.events import Cart, Click, Event
from feature_repo.sources.shop.catalogue import Catalogue
from feature_repo.sources.shop.choices import Choices, Watch
from feature_repo.sources.shop.market import Market
from feature_repo.sources.shop.missions import Mission
from feature_repo.sources.shop.shoppers import Shoppers

STEP_SHARE = 0.24
"""Probability after a click of moving on to the next product type of the plan."""
CLICKS_MEAN = 6.2
ADD_OFFSET = -6.3
BUY_OFFSET = -2.6
"""Inclinations to add and to buy, in logits; chosen for a base rate of 0.3 purchases within 24 hours."""
OWNED_WEIGHT = -4.0
"""Inclination to add what is owned already, unless it is to be bought again."""
REMOVE_SHARE = 0.12
CART_DAYS = 4
"""A cart left this long is cleared at the next visit."""

Action = Literal["add", "remove", "purchase"]


@dataclass
class Memory:
    """What is remembered of a shopper between visits."""

    cart: dict[int, int] = field(default_factory=dict)
    """Quantity by product."""
    owned: set[int] = field(default_factory=set)
    """Products bought so far."""
    cart_ms: int = 0
    mission: Mission | None = None
    busy_until_ms: int = 0


@dataclass(frozen=True)
class Outcome:
    """How a visit ended."""

    events: list[tuple[int, str, Event]]
    """(occurred_at_ms, topic, event) in order."""
    bought: list[tuple[int, int, float]]
    """(product, quantity, fit), the fit being how well it suited the shopper, about standard normal."""
    end_ms: int


@dataclass(frozen=True)
class Names:
    """The ids that a visit's events carry."""

    session_id: str
    user_id: str


class Visit:
    """One visit; `run` plays it.

    Parameters
    ----------
    catalogue, shoppers, market
        The world.
    rng
        Source of every choice.
    shopper
        Index of the shopper.
    mission
        Why they come; moves on in place.
    memory
        What is remembered of them; changes in place.
    start_ms
        When they come, milliseconds since the epoch.
    names
        The ids.
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
        memory: Memory,
        start_ms: int,
        names: Names,
        watch: Watch | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._rng = rng
        self._mission = mission
        self._memory = memory
        self._names = names
        self._now_ms = start_ms
        self._events: list[tuple[int, str, Event]] = []
        self._sensitivity = float(shoppers.price_sensitivity[shopper])
        self._decisiveness = float(shoppers.decisiveness[shopper])
        self._choices = Choices(catalogue, shoppers, market, rng, shopper, mission, start_ms, watch)
        self._fit = self._choices.fit
        self._last: int | None = None

    def run(self) -> Outcome:
        """Play the visit."""
        mission, memory = self._mission, self._memory
        mission.visits += 1
        if memory.cart and self._now_ms - memory.cart_ms > CART_DAYS * 86_400_000:
            for product in list(memory.cart):
                self._remove(product)
        brisk = mission.kind in ("restock", "cart") or not mission.plan
        clicks = 1 + int(self._rng.poisson(0.4 if brisk else CLICKS_MEAN * self._rng.gamma(2.0, 0.5)))
        for _ in range(clicks):
            self._step()
        if not mission.plan and memory.cart:
            self._look(max(memory.cart, key=lambda product: float(self._fit[product])))
        bought = self._checkout() if memory.cart else []
        mission.last_ms = self._now_ms
        memory.busy_until_ms = self._now_ms
        return Outcome(self._events, bought, self._now_ms)

    def _step(self) -> None:
        """Click once, and maybe add the product to the cart or move on to the next product type."""
        mission = self._mission
        product = self._choices.click(self._memory.cart, self._last)
        self._look(product)
        wanted = bool(mission.plan) and self._catalogue.type_of[product] == mission.plan[0]
        if product not in self._memory.cart and self._rng.random() < self._inclination(product, wanted):
            self._add(product)
            if wanted:
                mission.plan.pop(0)
        elif wanted and self._rng.random() < STEP_SHARE and len(mission.plan) > 1:
            mission.plan.append(mission.plan.pop(0))

    def _inclination(self, product: int, wanted: bool) -> float:
        """Probability of adding the product just clicked."""
        mission = self._mission
        score = ADD_OFFSET + 0.8 * float(self._fit[product]) + (1.3 if wanted else -0.8)
        score += 0.9 * (mission.looks[product] - 1) + 0.35 * min(mission.visits - 1, 3)
        if product in self._memory.owned and product != mission.favourite:
            score += OWNED_WEIGHT
        return _sigmoid(score + mission.urgency + 0.5 * self._decisiveness)

    def _look(self, product: int) -> None:
        self._wait(mean_s=45)
        looks = self._mission.looks
        looks[product] = looks.get(product, 0) + 1
        self._last = product
        event = Click(
            event_id=self._event_id(),
            user_id=self._names.user_id,
            item_id=self._catalogue.items[product].item_id,
            occurred_at_ms=self._now_ms,
            session_id=self._names.session_id,
        )
        self._events.append((self._now_ms, "clicks", event))

    def _add(self, product: int) -> None:
        self._wait(mean_s=12)
        consumable = self._catalogue.types.names[self._catalogue.type_of[product]].lasts_days is not None
        many = self._rng.random() < (0.35 if consumable else 0.06)
        self._memory.cart[product] = 2 + int(self._rng.random() < 0.3) if many else 1
        self._memory.cart_ms = self._now_ms
        self._change(product, "add", self._memory.cart[product])

    def _remove(self, product: int) -> None:
        self._wait(mean_s=10)
        self._change(product, "remove", self._memory.cart.pop(product))

    def _checkout(self) -> list[tuple[int, int, float]]:
        """Buy what is in the cart, or leave it there."""
        mission, cart = self._mission, self._memory.cart
        for product in list(cart):
            if self._rng.random() < REMOVE_SHARE * (1.6 if self._fit[product] < 0.5 else 0.6):
                self._remove(product)
        if not cart:
            return []
        value = sum(quantity * self._price(product) for product, quantity in cart.items())
        score = BUY_OFFSET + 0.8 * mission.urgency + 0.6 * self._decisiveness + 0.45 * min(mission.visits - 1, 3)
        score += 0.5 * max(float(self._fit[product]) for product in cart)
        score -= 0.25 * max(self._sensitivity, 0.0) * math.log(value / 40)
        if self._rng.random() >= _sigmoid(score):
            return []
        self._wait(mean_s=90)
        bought = []
        for product, quantity in cart.items():
            self._change(product, "purchase", quantity)
            bought.append((product, quantity, float(self._fit[product])))
        self._memory.owned.update(cart)
        cart.clear()
        return bought

    def _change(self, product: int, action: Action, quantity: int) -> None:
        event = Cart(
            event_id=self._event_id(),
            user_id=self._names.user_id,
            item_id=self._catalogue.items[product].item_id,
            action=action,
            quantity=quantity,
            unit_price=self._price(product),
            occurred_at_ms=self._now_ms,
        )
        self._events.append((self._now_ms, "carts", event))

    def _price(self, product: int) -> float:
        return self._catalogue.items[product].price or 0.0

    def _event_id(self) -> str:
        return f"{self._names.session_id}-{len(self._events)}"

    def _wait(self, mean_s: float) -> None:
        self._now_ms += 1000 + int(1000 * mean_s * self._rng.exponential())


def _sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))
