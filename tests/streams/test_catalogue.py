from __future__ import annotations

import msgspec
import numpy as np
import pytest

from feature_repo.features import ItemAttributes
from streams.catalogue import Catalogue, CatalogueRecord, encode_record
from tests.streams.fakes import ENCODER, NOW_MS, FakeRecommender, consumed, item, stocked


def put(catalogue: Catalogue, item_id: str, partition: int = 0, encoder: str = ENCODER, **fields: object) -> None:
    record = encode_record(item(item_id, **fields), np.array([0.5, 0.25, -1.0], np.float32), encoder)
    catalogue.apply(consumed(item_id.encode(), record, partition))


def remove(catalogue: Catalogue, item_id: str) -> None:
    catalogue.apply(consumed(item_id.encode(), None))


@pytest.fixture
def catalogue() -> Catalogue:
    return Catalogue(FakeRecommender(), ENCODER)  # type: ignore[arg-type]


def test_item_is_served_after_a_refresh_and_not_before(catalogue: Catalogue) -> None:
    put(catalogue, "tent", category="tents", brand="Peak", price=99.0, title="Tent")

    assert len(catalogue) == 0
    catalogue.refresh()

    row = catalogue.table.row("tent")
    assert row > 0
    assert catalogue.table.vectors[row].tolist() == [0.5, 0.25, -1.0]
    assert catalogue.attributes("tent") == ItemAttributes("tents", "Peak", 99.0, "Tent")
    assert catalogue.available(np.array([NOW_MS]))[0, row]


def test_vector_survives_the_topic_to_half_precision() -> None:
    vector = np.linspace(-1, 1, 384, dtype=np.float32)
    catalogue = Catalogue(FakeRecommender(384), ENCODER)  # type: ignore[arg-type]

    catalogue.apply(consumed(b"tent", encode_record(item("tent"), vector, ENCODER)))
    catalogue.refresh()

    np.testing.assert_allclose(catalogue.table.vectors[1], vector, atol=5e-4)


def test_changed_item_keeps_its_row_and_takes_its_new_values(catalogue: Catalogue) -> None:
    put(catalogue, "tent", category="tents", price=99.0)
    catalogue.refresh()
    row = catalogue.table.row("tent")

    put(catalogue, "tent", category="sale", price=49.0, in_stock=False)
    catalogue.refresh()

    assert catalogue.table.row("tent") == row
    attributes = catalogue.attributes("tent")
    assert attributes is not None
    assert (attributes.category, attributes.price) == ("sale", 49.0)
    assert not catalogue.available(np.array([NOW_MS]))[0, row]
    assert len(catalogue) == 1


def test_removed_item_is_unknown_and_its_row_serves_another(catalogue: Catalogue) -> None:
    put(catalogue, "tent", category="tents")
    put(catalogue, "cup", category="cups")
    catalogue.refresh()
    row = catalogue.table.row("tent")

    remove(catalogue, "tent")
    catalogue.refresh()

    assert catalogue.attributes("tent") is None
    assert catalogue.item("tent") is None
    assert catalogue.table.row("tent") == 0
    assert not catalogue.available(np.array([NOW_MS]))[0, row]
    put(catalogue, "rug", category="rugs")
    catalogue.refresh()
    assert catalogue.table.row("rug") == row
    assert catalogue.available(np.array([NOW_MS]))[0, row]
    assert catalogue.category[row] not in (0, catalogue.category[catalogue.table.row("cup")])


def test_newest_record_of_an_item_wins_within_one_refresh(catalogue: Catalogue) -> None:
    put(catalogue, "back", price=1.0)
    remove(catalogue, "back")
    put(catalogue, "back", price=2.0)
    put(catalogue, "gone")
    remove(catalogue, "gone")
    catalogue.refresh()

    assert [each.item_id for each in catalogue.items()] == ["back"]
    attributes = catalogue.attributes("back")
    assert attributes is not None
    assert attributes.price == 2.0


def test_removing_an_item_that_never_came_changes_nothing(catalogue: Catalogue) -> None:
    put(catalogue, "cup")
    remove(catalogue, "tent")
    catalogue.refresh()

    assert [each.item_id for each in catalogue.items()] == ["cup"]
    assert not catalogue.in_stock[0]


def test_vectors_are_made_in_one_call() -> None:
    recommender = FakeRecommender()

    stocked(*(item(f"i{n}") for n in range(100)), recommender=recommender)

    assert recommender.made == [100]


def test_item_with_another_encoders_vector_waits_to_be_encoded_again(catalogue: Catalogue) -> None:
    put(catalogue, "tent", partition=3, encoder="another")
    catalogue.refresh()

    assert catalogue.attributes("tent") is None
    assert catalogue.foreign().keys() == {"tent"}
    assert catalogue.partition("tent") == 3

    put(catalogue, "tent", partition=3)
    catalogue.refresh()
    assert catalogue.foreign() == {}
    assert catalogue.attributes("tent") is not None


def test_known_item_keeps_its_vector_and_takes_the_price_and_stock_of_another_encoders_record(
    catalogue: Catalogue,
) -> None:
    put(catalogue, "tent")
    catalogue.refresh()
    vector = catalogue.table.vectors[catalogue.table.row("tent")].copy()

    changed = encode_record(item("tent", price=3.0, in_stock=False), np.ones(3, np.float32), "another")
    catalogue.apply(consumed(b"tent", changed))
    catalogue.refresh()

    row = catalogue.table.row("tent")
    assert (catalogue.prices.price[row], bool(catalogue.in_stock[row])) == (3.0, False)
    found = catalogue.item("tent")
    assert found is not None
    assert (found.price, found.in_stock) == (3.0, False)
    assert np.array_equal(catalogue.table.vectors[row], vector)
    assert catalogue.foreign().keys() == {"tent"}
    assert catalogue.changed() == {"tent"}


def test_item_with_another_encoders_vector_can_be_removed(catalogue: Catalogue) -> None:
    put(catalogue, "tent", encoder="another")
    catalogue.refresh()
    remove(catalogue, "tent")
    catalogue.refresh()

    assert catalogue.foreign() == {}


def test_changes_are_told_once(catalogue: Catalogue) -> None:
    put(catalogue, "tent")
    remove(catalogue, "cup")
    catalogue.refresh()

    assert catalogue.changed() == {"tent", "cup"}
    assert catalogue.changed() == set()


def test_time_of_publication_decides_for_each_user_apart(catalogue: Catalogue) -> None:
    put(catalogue, "tent", published_at_ms=NOW_MS)
    catalogue.refresh()

    available = catalogue.available(np.array([NOW_MS - 1, NOW_MS]))

    assert available[:, catalogue.table.row("tent")].tolist() == [False, True]
    assert not available[:, 0].any()


def test_record_names_item_vector_and_encoder() -> None:
    record = msgspec.json.decode(encode_record(item("tent"), np.zeros(3, np.float32), "e-1"), type=CatalogueRecord)

    assert record.item == item("tent")
    assert record.encoder == "e-1"
    assert len(record.text_vector) == 8
