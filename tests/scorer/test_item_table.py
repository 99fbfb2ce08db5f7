from __future__ import annotations

import numpy as np
import pytest

from scorer.item_table import ItemTable


def vectors(*values: float) -> np.ndarray:
    return np.array([[value, value] for value in values], dtype=np.float32)


def test_unknown_item_has_row_zero_and_a_zero_vector() -> None:
    table = ItemTable(2)
    table.put(["mug"], vectors(1), [3.0])
    assert table.rows(["mug", "lamp"]).tolist() == [1, 0]
    assert not table.vectors[0].any()


def test_item_put_again_keeps_its_row() -> None:
    table = ItemTable(2)
    table.put(["mug", "lamp"], vectors(1, 2), [3.0, 4.0])
    table.put(["mug"], vectors(5), [None])
    assert len(table) == 2
    np.testing.assert_array_equal(table.vectors, vectors(0, 5, 2))
    np.testing.assert_allclose(table.price_logs, [0, 0, np.log1p(4.0)], rtol=1e-6)


def test_removed_item_leaves_its_row_to_the_next() -> None:
    table = ItemTable(2)
    table.put(["mug", "lamp"], vectors(1, 2), [3.0, 4.0])
    table.remove("mug")
    table.remove("mug")
    assert "mug" not in table
    assert not table.vectors[1].any()
    table.put(["vase"], vectors(7), [1.0])
    assert list(table.item_ids) == [None, "vase", "lamp"]


def test_table_grows_past_its_first_size() -> None:
    table = ItemTable(2)
    item_ids = [f"i{number}" for number in range(1000)]
    table.put(item_ids, vectors(*range(1000)), [1.0] * 1000)
    assert table.vectors.shape == (1001, 2)
    assert table.vectors[table.row("i999")].tolist() == [999, 999]


def test_score_is_the_product_of_user_and_item() -> None:
    table = ItemTable(2)
    table.put(["mug", "lamp"], vectors(1, 2), [None, None])
    assert table.scores(np.array([[1.0, 3.0]], dtype=np.float32)).tolist() == [[0, 4, 8]]


def test_vectors_of_another_width_are_refused() -> None:
    with pytest.raises(ValueError, match=r"saw vectors of shape \(1, 3\) and 1 prices, expected \(1, 2\) and 1"):
        ItemTable(2).put(["mug"], np.zeros((1, 3), dtype=np.float32), [None])
