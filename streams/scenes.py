"""The scenes of a user that are ranked when they are read: a shopper in; the list of a scene, with true reasons, out.

`home` is not among them: workers write it ahead, for each event. These would be too many to write (every category and
brand for every user), and read so they obey the stock, prices and promotions of this moment.

==========  ================================================================================
category    items of a category in the user's order; what is bought or in the cart stays
brand       items of a brand, likewise
cart        what completes the cart (`streams.cart_scene`)
promotion   what is on offer, matched to the user's prices (`streams.promotion_scene`)
again       what is due to be bought again (`streams.again_scene`)
==========  ================================================================================
"""

from __future__ import annotations

from streams.again_scene import again_list
from streams.cart_scene import BoughtWith, cart_list
from streams.lists import ListRules
from streams.promotion_scene import promotion_list
from streams.shopper import Filters, Shopper
from streams.store import RecommendedItem

SHELVES = ("category", "brand")
"""Scenes that show all items of what they are named after; the filter of that name says which."""
SCENES = (*SHELVES, "cart", "promotion", "again")


class SceneError(ValueError):
    """A scene that cannot be ranked: says what was asked for and what is needed."""


def scene_list(
    scene: str, shopper: Shopper, rules: ListRules, filters: Filters, bought_with: BoughtWith
) -> tuple[RecommendedItem, ...]:
    """Rank one of `SCENES` for a user, as of the moment of reading.

    Parameters
    ----------
    rules
        Size of the list and share of a category; shelves and `again` obey the size only.
    filters
        All scenes obey them; `category` and `brand` need theirs.
    bought_with
        What is bought together with each item of the cart; only `cart` looks at it.

    Returns
    -------
    tuple of RecommendedItem
        Best first: in stock, published by now, passing the filters, none twice.

    Raises
    ------
    SceneError
        For a scene that is not among them, or a shelf without its name.
    """
    if scene == "cart":
        return cart_list(shopper, bought_with, rules, filters)
    if scene == "promotion":
        return promotion_list(shopper, rules, filters)
    if scene == "again":
        return again_list(shopper, rules, filters)
    if scene not in SHELVES:
        raise SceneError(f"scene: saw {scene!r}, expected one of {', '.join(SCENES)}")
    if getattr(filters, scene) is None:
        raise SceneError(f"scene {scene!r}: saw no {scene}, expected one: add {scene}=NAME")
    return shelf_list(shopper, rules.size, filters)


def shelf_list(shopper: Shopper, size: int, filters: Filters) -> tuple[RecommendedItem, ...]:
    """Rank all that passes the filters in the user's order, that which they have or are about to have too."""
    rules = ListRules(size, category_share=1.0)
    return shopper.arrange(shopper.scores(), shopper.showable(filters), rules, shopper.reasons)
