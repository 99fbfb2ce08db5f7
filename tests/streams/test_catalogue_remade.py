"""Item vectors of another recommender: made while the first one serves, and up to date when they are swapped in."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from streams import catalogue as module
from streams.catalogue import Catalogue, encode_record
from tests.streams.fakes import ENCODER, FakeRecommender, consumed, item


class Doubling(FakeRecommender):
    """Item vectors are the text vectors twice, with a number more."""

    def __init__(self) -> None:
        super().__init__(width=4)

    def item_vectors(self, item_ids: Sequence[str], text_vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        made = super().item_vectors(item_ids, text_vectors)
        return np.concatenate([2 * made, np.ones((len(made), 1), np.float32)], axis=1)


def filled(*item_ids: str) -> Catalogue:
    catalogue = Catalogue(FakeRecommender(), ENCODER)  # type: ignore[arg-type]
    for number, item_id in enumerate(item_ids):
        put(catalogue, item_id, number)
    return catalogue


def put(catalogue: Catalogue, item_id: str, number: int) -> None:
    vector = np.array([number, 1.0, 0.0], np.float32)
    catalogue.apply(consumed(item_id.encode(), encode_record(item(item_id), vector, ENCODER)))
    catalogue.refresh()


def remove(catalogue: Catalogue, item_id: str) -> None:
    catalogue.apply(consumed(item_id.encode(), None))
    catalogue.refresh()


def vector(catalogue: Catalogue, item_id: str) -> list[float]:
    made: list[float] = catalogue.table.vectors[catalogue.table.row(item_id)].tolist()
    return made


def test_vectors_are_served_when_they_are_swapped_in_and_not_before() -> None:
    catalogue = filled("tent", "cup")

    made = catalogue.remake(Doubling())  # type: ignore[arg-type]
    assert vector(catalogue, "cup") == [1.0, 1.0, 0.0]

    catalogue.serve(made)
    assert vector(catalogue, "tent") == [0.0, 2.0, 0.0, 1.0]
    assert vector(catalogue, "cup") == [2.0, 2.0, 0.0, 1.0]
    assert not catalogue.table.vectors[0].any()


def test_whole_catalogue_is_made_in_steps_without_a_gap() -> None:
    names = [f"i{number}" for number in range(2 * module.REMADE_AT_A_TIME + 3)]
    catalogue = filled(*names)
    recommender = Doubling()

    catalogue.serve(catalogue.remake(recommender))  # type: ignore[arg-type]

    assert sum(recommender.made) == len(names)
    assert len(recommender.made) == 3
    assert [vector(catalogue, name)[0] for name in names] == [2.0 * np.float16(n) for n in range(len(names))]


def test_items_that_change_meanwhile_are_made_anew() -> None:
    catalogue = filled("tent", "cup", "rug")
    made = catalogue.remake(Doubling())  # type: ignore[arg-type]
    put(catalogue, "tent", 7)
    remove(catalogue, "cup")
    remove(catalogue, "rug")
    put(catalogue, "lamp", 9)

    catalogue.serve(made)

    assert vector(catalogue, "tent") == [14.0, 2.0, 0.0, 1.0]
    assert vector(catalogue, "lamp") == [18.0, 2.0, 0.0, 1.0]
    known = {catalogue.table.row("tent"), catalogue.table.row("lamp")}
    assert not np.delete(catalogue.table.vectors, list(known), axis=0).any()


def test_catalogue_that_outgrows_its_table_meanwhile_is_whole_after_the_swap() -> None:
    catalogue = filled("tent")
    made = catalogue.remake(Doubling())  # type: ignore[arg-type]
    names = [f"i{number}" for number in range(200)]
    for number, name in enumerate(names):
        put(catalogue, name, number)

    catalogue.serve(made)
    put(catalogue, "late", 5)

    assert [vector(catalogue, name)[0] for name in names] == [2.0 * number for number in range(200)]
    assert vector(catalogue, "tent") == [0.0, 2.0, 0.0, 1.0]
    assert vector(catalogue, "late") == [10.0, 2.0, 0.0, 1.0]


def test_former_vectors_are_kept_up_to_date_to_go_back_to() -> None:
    catalogue = filled("tent", "cup")
    former = catalogue.serve(catalogue.remake(Doubling()))  # type: ignore[arg-type]
    put(catalogue, "cup", 5)
    put(catalogue, "lamp", 6)

    failed = catalogue.serve(former)
    catalogue.forget(failed)

    assert vector(catalogue, "tent") == [0.0, 1.0, 0.0]
    assert vector(catalogue, "cup") == [5.0, 1.0, 0.0]
    assert vector(catalogue, "lamp") == [6.0, 1.0, 0.0]
    put(catalogue, "lamp", 7)
    assert vector(catalogue, "lamp") == [7.0, 1.0, 0.0]


def test_empty_catalogue_can_be_remade() -> None:
    catalogue = filled()

    catalogue.serve(catalogue.remake(Doubling()))  # type: ignore[arg-type]
    put(catalogue, "tent", 3)

    assert vector(catalogue, "tent") == [6.0, 2.0, 0.0, 1.0]
