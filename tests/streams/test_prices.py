from __future__ import annotations

import numpy as np
import pytest

from feature_repo.events import Item
from streams.catalogue import encode_record
from streams.prices import Prices, discount
from tests.streams.fakes import ENCODER, NOW_MS, consumed, item, stocked


def priced(*items: Item) -> Prices:
    """Items from row 1 on."""
    prices = Prices()
    prices.grow(len(items) + 1)
    for row, each in enumerate(items, 1):
        prices.put(row, each)
    return prices


@pytest.mark.parametrize(
    ("price", "list_price", "expected"),
    [(15.0, 20.0, 0.25), (20.0, 20.0, 0.0), (25.0, 20.0, 0.0), (None, 20.0, 0.0), (15.0, None, 0.0), (0.0, 20.0, 1.0)],
)
def test_discount_is_the_part_taken_off_the_list_price(
    price: float | None, list_price: float | None, expected: float
) -> None:
    assert discount(item("tent", price=price, list_price=list_price)) == expected


def test_offer_lasts_from_its_beginning_to_before_its_end() -> None:
    shelf = priced(item("a", promotion_id="spring", promotion_from_ms=NOW_MS, promotion_until_ms=NOW_MS + 10))

    on_offer = [bool(shelf.on_offer(NOW_MS + ms)[1]) for ms in (-1, 0, 9, 10)]

    assert on_offer == [False, True, True, False]


def test_lower_price_without_a_promotion_is_an_offer() -> None:
    shelf = priced(item("low", price=8.0, list_price=10.0), item("plain", price=8.0), item("named", promotion_id="p"))

    assert shelf.on_offer(NOW_MS).tolist() == [False, True, False, True]


def test_lower_price_counts_only_while_its_promotion_lasts() -> None:
    shelf = priced(item("a", price=8.0, list_price=10.0, promotion_from_ms=NOW_MS + 1))

    assert not shelf.on_offer(NOW_MS)[1]
    assert shelf.on_offer(NOW_MS + 1)[1]


def test_price_limits_include_their_ends_and_leave_out_unknown_prices() -> None:
    shelf = priced(item("a", price=5.0), item("b", price=10.0), item("c"))

    assert shelf.priced(5.0, None)[1:].tolist() == [True, True, False]
    assert shelf.priced(None, 5.0)[1:].tolist() == [True, False, False]
    assert shelf.priced(None, None)[1:].tolist() == [True, True, True]


def test_catalogue_forgets_an_offer_when_the_item_is_published_without_it() -> None:
    catalogue = stocked(item("a", price=8.0, list_price=10.0, brand="acme"))
    assert catalogue.prices.on_offer(NOW_MS)[catalogue.table.row("a")]

    record = encode_record(item("a", price=10.0, list_price=10.0), np.ones(3, np.float32), ENCODER)
    catalogue.apply(consumed(b"a", record))
    catalogue.refresh()

    assert not catalogue.prices.on_offer(NOW_MS).any()
    assert not catalogue.of_brand("acme").any()


def test_columns_grow_with_the_catalogue() -> None:
    catalogue = stocked(*(item(f"i{n}", price=float(n)) for n in range(200)))

    assert len(catalogue.prices.price) == len(catalogue.in_stock) == 201
    assert catalogue.prices.price[catalogue.table.row("i199")] == 199.0
