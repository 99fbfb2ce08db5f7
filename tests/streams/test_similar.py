"""Lists of similar items: the nearest ones, and after any change just the lists that it alters."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_repo.events import Item
from streams.catalogue import Catalogue, encode_record
from streams.rule_effects import Effects
from streams.similar import Similar
from streams.store import RecommendedItem
from tests.streams.fakes import ENCODER, NOW_MS, FakeRecommender, consumed, item, stocked

SIZE = 3
Vectors = npt.NDArray[np.float32]


def weight_of(catalogue: Catalogue, now_ms: int = NOW_MS) -> npt.NDArray[np.float32]:
    return catalogue.available(np.array([now_ms]))[0].astype(np.float32)


def known(catalogue: Catalogue, effects: Effects | None = None) -> Similar:
    similar = Similar(SIZE)
    similar.take_in(catalogue, catalogue.changed(), weight_of(catalogue), effects)
    return similar


def listed(similar: Similar, catalogue: Catalogue, item_id: str) -> list[str]:
    return [each.item_id for each in similar.make([item_id], catalogue)[item_id]]


def test_same_category_comes_first_then_the_nearest_and_never_the_item_itself() -> None:
    catalogue = stocked(
        item("tent", "tents"),
        item("far tent", "tents"),
        item("near tent", "tents"),
        item("near cup", "cups"),
        item("far cup", "cups"),
        vectors=[[1, 0, 0], [-1, 0.1, 0], [1, 1, 0], [9, 0.1, 0], [0, 1, 0]],
    )
    similar = known(catalogue)

    (made,) = similar.make(["tent"], catalogue).values()

    assert [each.item_id for each in made] == ["near tent", "far tent", "near cup"]
    assert {each.reason for each in made} == {"similar to Tent"}
    assert [each.score for each in made] == sorted((each.score for each in made), reverse=True)


def test_what_may_not_be_shown_is_left_out_but_has_a_list_of_its_own() -> None:
    catalogue = stocked(item("tent"), item("gone", in_stock=False), item("to come", published_at_ms=NOW_MS + 1))
    similar = known(catalogue)

    assert listed(similar, catalogue, "tent") == []
    assert listed(similar, catalogue, "gone") == ["tent"]


def test_items_without_a_category_are_not_alike_for_that() -> None:
    catalogue = stocked(item("a"), item("b"), item("c", "cups"), vectors=[[1, 0, 0], [0, 1, 0], [1, 0.1, 0]])
    similar = known(catalogue)

    assert listed(similar, catalogue, "a") == ["c", "b"]


def test_new_price_alters_no_list() -> None:
    catalogue = stocked(item("tent"), item("cup"))
    similar = known(catalogue)
    similar.outdated()
    similar.make(["tent", "cup"], catalogue)
    put(catalogue, item("tent", price=3.0), [1.0, 0.0, 0.0])

    similar.take_in(catalogue, catalogue.changed(), weight_of(catalogue), None)

    assert similar.outdated() == []


def test_item_that_takes_the_row_of_one_that_left_is_another_though_its_text_is_the_same() -> None:
    catalogue = stocked(item("tent"), item("old"), vectors=[[1, 0, 0], [1, 1, 0]])
    similar = known(catalogue)
    similar.make(["tent", "old"], catalogue)
    similar.outdated()

    catalogue.apply(consumed(b"old", None))
    vector = np.array([1, 1, 0], np.float32)
    catalogue.apply(consumed(b"old2", encode_record(item("old2", title="Old"), vector, ENCODER)))
    catalogue.refresh()
    similar.take_in(catalogue, catalogue.changed(), weight_of(catalogue), None)

    assert set(similar.outdated()) == {"tent", "old", "old2"}
    assert listed(similar, catalogue, "tent") == ["old2"]


def test_another_model_alters_every_list() -> None:
    class Other(FakeRecommender):
        def item_vectors(
            self, item_ids: Sequence[str], text_vectors: npt.NDArray[np.float32]
        ) -> npt.NDArray[np.float32]:
            return -text_vectors

    names = ["tent", "cup", "sold out"]
    catalogue = stocked(*(item(name, in_stock=name != "sold out") for name in names))
    similar = known(catalogue)
    similar.outdated()
    similar.make(names, catalogue)

    catalogue.serve(catalogue.remake(Other()))  # type: ignore[arg-type]
    similar.take_in(catalogue, catalogue.changed(), weight_of(catalogue), None)

    assert sorted(similar.outdated()) == sorted(names)
    assert listed(similar, catalogue, "sold out") == ["tent", "cup"]


def test_item_that_is_gone_has_an_empty_list() -> None:
    catalogue = stocked(item("tent"), item("cup"))
    similar = known(catalogue)
    similar.outdated()
    similar.make(["tent", "cup"], catalogue)
    catalogue.apply(consumed(b"cup", None))
    catalogue.refresh()
    similar.take_in(catalogue, catalogue.changed(), weight_of(catalogue), None)

    assert sorted(similar.outdated()) == ["cup", "tent"]
    assert similar.make(["cup", "tent"], catalogue) == {"cup": (), "tent": ()}


def put(catalogue: Catalogue, each: Item, vector: Sequence[float]) -> None:
    catalogue.apply(consumed(each.item_id.encode(), encode_record(each, np.array(vector, np.float32), ENCODER)))
    catalogue.refresh()


def all_lists(similar: Similar, catalogue: Catalogue, names: Sequence[str]) -> dict[str, tuple[RecommendedItem, ...]]:
    return {name: similar.make([name], catalogue)[name] for name in names}


@given(seed=st.integers(0, 2**32), count=st.integers(15, 60), changes=st.integers(1, 8))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_after_any_changes_the_lists_made_anew_are_all_that_differ(seed: int, count: int, changes: int) -> None:
    """Lists that are not named stay as they are: each must be what a fresh start would make."""
    chance = random.Random(seed)

    def some_item(place: int) -> Item:
        return item(f"i{place}", chance.choice((None, "a", "b")), in_stock=chance.random() < 0.8)

    def some_vector() -> list[float]:
        return [float(chance.randint(-3, 3)) for _ in range(3)]

    catalogue = stocked(*map(some_item, range(count)), vectors=[some_vector() for _ in range(count)])
    similar = known(catalogue)
    lists = all_lists(similar, catalogue, similar.outdated())
    for _ in range(changes):
        for place in {chance.randrange(count + 3) for _ in range(chance.choice((1, 1, 9)))}:
            if chance.random() < 0.3:
                catalogue.apply(consumed(f"i{place}".encode(), None))
                catalogue.refresh()
            else:
                put(catalogue, some_item(place), some_vector())
        similar.take_in(catalogue, catalogue.changed(), weight_of(catalogue), None)
        lists |= all_lists(similar, catalogue, similar.outdated())

    fresh = Similar(SIZE)
    names = [each.item_id for each in catalogue.items()]
    fresh.take_in(catalogue, names, weight_of(catalogue), None)
    expected = all_lists(fresh, catalogue, names)
    assert {name: items for name, items in lists.items() if items} == {
        name: items for name, items in expected.items() if items
    }
