"""Items on offer now for one user: a shopper in; offers that they like, at prices that they pay, out.

How much a discount counts is the user's own: the share of what they put into the cart or bought that was below its list
price. How much a price counts is its distance from the prices that they usually look at.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from feature_repo import taste
from feature_repo.history import ADD, PURCHASE, UNKNOWN_PRICE
from feature_repo.state import UserState
from streams.catalogue import Catalogue
from streams.lists import ListRules
from streams.shopper import Filters, Shopper, standardised
from streams.store import RecommendedItem

DISCOUNT_WEIGHT = 4.0
"""Standard deviations of the user's scores that goods for nothing would be worth to whoever buys on offer only."""
PRICE_WEIGHT = 0.5
"""Standard deviations of the user's scores that a price two usual distances (their spread) off costs, twice over."""
LEAST_SPREAD = 0.25
"""Least usual distance of prices, log(1 + currency units): who has looked at one price only is not bound to it."""
FARTHEST = 3.0
"""Usual distances past which a price is not worse still."""
CHEAPER = 0.99
"""Part of the list price below which something was bought on offer: what is left out is rounding."""
FOND_OF_OFFERS = 0.7
"""`discount_fondness` from which it is said: two of two, or four of five. One is no habit."""


def promotion_list(shopper: Shopper, rules: ListRules, filters: Filters) -> tuple[RecommendedItem, ...]:
    """Rank what is on offer at the time of reading, but for what is bought or in the cart."""
    catalogue, state = shopper.catalogue, shopper.state
    allowed = shopper.showable(filters) & catalogue.prices.on_offer(shopper.now_ms)
    allowed[catalogue.table.rows({*state.cart.units, *state.cart.bought})] = False
    rows = np.flatnonzero(allowed)
    if not len(rows):
        return ()
    fondness = discount_fondness(state, catalogue)
    value = standardised(shopper.scores(), rows)
    value += DISCOUNT_WEIGHT * fondness * catalogue.prices.discount[rows]
    value -= PRICE_WEIGHT * _distances(shopper, rows) ** 2 / 2
    scores = np.full(len(allowed), -np.inf, np.float32)
    scores[rows] = value

    def reasons(chosen: list[int]) -> list[str]:
        discounts = catalogue.prices.discount[chosen].tolist()
        whys = shopper.reasons(chosen)
        return [_reason(discount, fondness, why) for discount, why in zip(discounts, whys, strict=True)]

    return shopper.arrange(scores, allowed, rules, reasons)


def discount_fondness(state: UserState, catalogue: Catalogue) -> float:
    """Share of a user's last adds and purchases that were below the list price of now: 0 to 1, exclusive.

    Counted as if there had been one more of each kind, so that of whom nothing is known it is a half.
    """
    below = known = 0
    for entry in state.history:
        if entry.action not in (ADD, PURCHASE) or entry.price_milli == UNKNOWN_PRICE:
            continue
        item = catalogue.item(entry.item_id)
        if item is None or item.list_price is None:
            continue
        known += 1
        below += entry.price_milli / 1000 < CHEAPER * item.list_price
    return (below + 1) / (known + 2)


def _distances(shopper: Shopper, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """How far prices are from those that the user looks at, in their usual distance: float64 [N], at most FARTHEST."""
    usual = taste.prices(shopper.state, shopper.now_ms, shopper.catalogue)
    prices = shopper.catalogue.prices.price[rows]
    if not usual["log_price_mean"]:
        return np.zeros(len(rows))
    spread = max(LEAST_SPREAD, usual["log_price_spread"])
    distances = np.nan_to_num(np.abs(np.log1p(prices) - usual["log_price_mean"]) / spread, nan=0.0)
    nearer: npt.NDArray[np.float64] = np.minimum(distances, FARTHEST)
    return nearer


def _reason(discount: float, fondness: float, why: str) -> str:
    offer = f"{math.floor(100 * discount + 0.5)}% off" if discount >= 0.005 else "on offer"
    if discount >= 0.005 and fondness > FOND_OF_OFFERS:
        return f"{offer}, and you often buy on offer; {why}"
    return f"{offer}; {why}"
