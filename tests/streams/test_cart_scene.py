from __future__ import annotations

from streams.cart_scene import cart_list
from streams.lists import ListRules
from tests.streams.fakes import item, stocked
from tests.streams.scene_shoppers import ALL, WIDE, cart, shopper
from tests.streams.test_lists import click, ids

CAMP = (
    item("tent", "tents", title="Tent"),
    item("tarp", "tents", title="Tarp"),
    item("peg", "pegs", title="Peg"),
    item("cup", "cups", title="Cup"),
    item("rug", "rugs", title="Rug"),
)
VECTORS = [[1, 0, 0], [0.9, 0.1, 0], [0.8, 0.3, 0], [0.3, 0.8, 0], [0, 0.1, 1]]


def test_empty_cart_has_no_completion() -> None:
    assert cart_list(shopper(stocked(*CAMP), click("tent")), {}, WIDE, ALL) == ()


def test_cart_of_items_that_left_the_catalogue_has_no_completion() -> None:
    assert cart_list(shopper(stocked(*CAMP), cart("sold elsewhere", "add")), {}, WIDE, ALL) == ()


def test_more_of_the_same_kind_is_no_completion() -> None:
    items = cart_list(shopper(stocked(*CAMP, vectors=VECTORS), cart("tent", "add")), {}, WIDE, ALL)

    assert ids(items) == ["peg", "cup", "rug"]
    assert items[0].reason == "goes with Tent, which is in your cart"


def test_what_is_bought_together_comes_first_even_of_the_same_kind() -> None:
    together = {"tent": [("tarp", 0.4), ("rug", 0.8)]}

    items = cart_list(shopper(stocked(*CAMP, vectors=VECTORS), cart("tent", "add")), together, WIDE, ALL)

    assert ids(items) == ["rug", "tarp", "peg", "cup"]
    assert [each.reason for each in items[:2]] == ["often bought with Tent, which is in your cart"] * 2
    assert [each.score > 1 for each in items] == [True, True, False, False]


def test_reason_names_the_item_of_the_cart_that_is_bought_with_it_most() -> None:
    together = {"tent": [("rug", 0.1)], "cup": [("rug", 0.9)]}

    items = cart_list(
        shopper(stocked(*CAMP, vectors=VECTORS), cart("tent", "add"), cart("cup", "add")), together, WIDE, ALL
    )

    assert items[0].reason == "often bought with Cup, which is in your cart"


def test_kind_that_was_in_a_basket_with_the_carts_kind_before_comes_earlier() -> None:
    before = [cart("tarp", "purchase", 20), cart("rug", "purchase", 20), cart("tarp", "add", 9), cart("rug", "add", 9)]
    gone = [cart("tarp", "remove", 8), cart("rug", "remove", 8)]
    catalogue = stocked(*CAMP, item("mat", "rugs", title="Mat"), vectors=[*VECTORS, [0, 0.1, 0.9]])

    listed = cart_list(shopper(catalogue, *before, *gone, cart("tent", "add")), {}, WIDE, ALL)
    without = cart_list(shopper(catalogue, cart("tent", "add")), {}, WIDE, ALL)

    assert ids(listed).index("mat") < ids(without).index("mat")
    reasons = {each.item_id: each.reason for each in listed}
    assert reasons["mat"] == "goes with Tent, which is in your cart: 2 of your baskets held tents and rugs"
    assert reasons["cup"] == "goes with Tent, which is in your cart"


def test_neither_the_cart_nor_what_was_bought_completes_it() -> None:
    bought = [cart("peg", "purchase", 5), cart("tent", "add"), cart("cup", "add")]
    together = {"tent": [("peg", 0.9), ("cup", 0.8)]}

    assert ids(cart_list(shopper(stocked(*CAMP, vectors=VECTORS), *bought), together, WIDE, ALL)) == ["rug"]


def test_unknown_partners_and_those_out_of_stock_are_left_out() -> None:
    catalogue = stocked(*CAMP[:3], item("cup", "cups", in_stock=False), vectors=VECTORS[:4])
    together = {"tent": [("cup", 0.9), ("gone", 0.8)]}

    assert ids(cart_list(shopper(catalogue, cart("tent", "add")), together, WIDE, ALL)) == ["peg"]


def test_kind_fills_no_more_than_its_share_of_a_completion() -> None:
    catalogue = stocked(
        item("tent", "tents"), *(item(f"peg-{n}", "pegs") for n in range(5)), item("cup", "cups"), item("rug", "rugs")
    )

    items = cart_list(shopper(catalogue, cart("tent", "add")), {}, ListRules(4, 0.5), ALL)

    assert sorted(ids(items)) == ["cup", "peg-0", "peg-1", "rug"]
