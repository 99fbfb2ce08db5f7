"""What completes a cart: a shopper and what is bought together in; items that go with those in the cart out.

What is often bought with the cart's items comes first. The rest is of other categories than the cart's, near to its
items in the recommender's space, liked by this user, and the more so if they had such a category in one basket with
those of the cart before: more of the same is no completion.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from feature_repo.history import ADD, PURCHASE
from feature_repo.state import UserState, bought
from streams.catalogue import Catalogue
from streams.lists import ListRules
from streams.shopper import Filters, Shopper, standardised
from streams.store import RecommendedItem

BASKET_GAP_MS = 2 * 3_600_000
"""Things put into the cart or bought with no longer pause than this between them were one basket."""
COMPANION_WEIGHT = 1.0
"""Standard deviations of the user's scores that a doubling of baskets with both categories is worth."""

BoughtWith = Mapping[str, Sequence[tuple[str, float]]]
"""For an item_id, what is bought together with it: item_ids, best first, each with a score above 0."""


def cart_list(
    shopper: Shopper, bought_with: BoughtWith, rules: ListRules, filters: Filters
) -> tuple[RecommendedItem, ...]:
    """Rank what completes the cart.

    Parameters
    ----------
    bought_with
        Lists of the cart's items, where there are any.

    Returns
    -------
    tuple of RecommendedItem
        Scores are in (1, 2] for what is bought together with the cart's items, below for the rest. Empty without a cart
        whose items the catalogue knows.
    """
    catalogue, state = shopper.catalogue, shopper.state
    in_cart = [item_id for item_id in state.cart.units if catalogue.item(item_id) is not None]
    if not in_cart:
        return ()
    allowed = shopper.showable(filters)
    allowed[catalogue.table.rows({*state.cart.units, *bought(state)})] = False
    scores = np.zeros(len(allowed), np.float32)
    reasons: dict[int, str] = {}
    _add_bought_with(in_cart, bought_with, shopper, allowed, scores, reasons)
    allowed &= ~np.isin(catalogue.category, list(_categories(in_cart, catalogue)))
    allowed[list(reasons)] = False
    reason_of = _add_near(in_cart, shopper, np.flatnonzero(allowed), scores)
    allowed[list(reasons)] = True
    return shopper.arrange(scores, allowed, rules, lambda rows: [reasons.get(row) or reason_of(row) for row in rows])


def _add_bought_with(
    in_cart: list[str],
    bought_with: BoughtWith,
    shopper: Shopper,
    allowed: npt.NDArray[np.bool_],
    scores: npt.NDArray[np.float32],
    reasons: dict[int, str],
) -> None:
    """Score what is bought together with the cart's items by the sum over them; the strongest of them is named."""
    worth: dict[int, dict[str, float]] = {}
    for item_id in in_cart:
        for partner, score in bought_with.get(item_id, ()):
            row = shopper.catalogue.table.row(partner)
            if allowed[row] and score > 0:
                worth.setdefault(row, {})[item_id] = score * float(shopper.factor[row])
    most = max((sum(parts.values()) for parts in worth.values()), default=0.0)
    for row, parts in worth.items():
        scores[row] = 1 + sum(parts.values()) / most
        strongest = max(parts, key=lambda item_id: parts[item_id])
        reasons[row] = f"often bought with {shopper.title(strongest)}, which is in your cart"


def _add_near(
    in_cart: list[str],
    shopper: Shopper,
    rows: npt.NDArray[np.int64],
    scores: npt.NDArray[np.float32],
) -> Callable[[int], str]:
    """Score rows by nearness to the cart's items, liking, and baskets before; returns what gives a row's reason."""
    catalogue = shopper.catalogue
    vectors = catalogue.table.vectors
    cart = vectors[catalogue.table.rows(in_cart)]  # [K, D]
    cart = cart / np.maximum(np.linalg.norm(cart, axis=1, keepdims=True), 1e-6)
    near = vectors[rows] @ cart.T  # [N, D] @ [D, K] -> [N, K]
    together = _together(shopper.state, catalogue, in_cart)  # [K, categories]
    baskets = together[:, catalogue.category[rows]].T  # [N, K]
    value = standardised(shopper.scores(), rows) + standardised(near.max(axis=1), np.arange(len(rows)))
    value += COMPANION_WEIGHT * np.log2(1 + baskets.max(axis=1))
    # At most 1, so that what is known to be bought together comes first.
    scores[rows] = 1 / (1 + np.exp(-value))

    def reason(row: int) -> str:
        place = int(np.searchsorted(rows, row))
        # The item of the cart with whose kind there were most baskets; of several, the nearest.
        partner = int(np.lexsort((near[place], baskets[place]))[-1])
        said = f"goes with {shopper.title(in_cart[partner])}, which is in your cart"
        count = int(baskets[place, partner])
        if count:
            kinds = f"{_kind(in_cart[partner], catalogue)} and {_kind(catalogue.table.item_ids[row], catalogue)}"
            said += f": {_baskets(count)} held {kinds}"
        return said

    return reason


def _categories(item_ids: list[str], catalogue: Catalogue) -> set[int]:
    """Codes of the categories of items; none for an item without a category."""
    return set(catalogue.category[catalogue.table.rows(item_ids)].tolist()) - {0}


def _together(state: UserState, catalogue: Catalogue, in_cart: list[str]) -> npt.NDArray[np.int64]:
    """Count the baskets of a user that held the category of an item in the cart and another one.

    Returns
    -------
    NDArray
        int64 [K, C], by item of the cart and code of the other category; 0 for the same category, and for none.
    """
    counts = np.zeros((len(in_cart), int(catalogue.category.max()) + 1), np.int64)
    own = catalogue.category[catalogue.table.rows(in_cart)]
    for basket in _baskets_of(state):
        held = _categories(basket, catalogue)
        for place, category in enumerate(own.tolist()):
            if category in held:
                counts[place, list(held - {category})] += 1
    return counts


def _baskets_of(state: UserState) -> list[list[str]]:
    """Item ids of what was put into the cart or bought without a long pause."""
    baskets: list[list[str]] = []
    last_ms = -math.inf
    for entry in state.cart_log:
        if entry.action not in (ADD, PURCHASE) or entry.quantity < 0:
            continue
        if entry.ms - last_ms > BASKET_GAP_MS:
            baskets.append([])
        baskets[-1].append(entry.item_id)
        last_ms = entry.ms
    return baskets


def _kind(item_id: str | None, catalogue: Catalogue) -> str:
    item = None if item_id is None else catalogue.item(item_id)
    return "other things" if item is None or item.category is None else item.category


def _baskets(count: int) -> str:
    return "one of your baskets" if count == 1 else f"{count} of your baskets"
