from __future__ import annotations

import numpy as np
import pytest

from feature_repo.features import NUMERIC_NAMES
from feature_repo.state import ACTIONS, Entry, UserState, decode_state, encode_state, update
from scorer.encoder import ModelInputs, bucket_of, encode, encode_entries
from scorer.item_table import ItemTable
from tests.planted import PlantedSource, planted
from training.windows import newest_before

CLICK, PURCHASE = ACTIONS.index("click"), ACTIONS.index("purchase")
FEATURES = np.zeros((1, len(NUMERIC_NAMES)), dtype=np.float32)


@pytest.fixture
def items() -> ItemTable:
    table = ItemTable(2)
    table.put(["mug", "lamp"], np.array([[1.0, 2.0], [3.0, 4.0]], dtype=np.float32), [4.0, None])
    return table


def entry(seconds: float, item_id: str, action: int = CLICK, price_milli: int = -1) -> Entry:
    return Entry(int(seconds * 1000), int(seconds), action, item_id, price_milli, 1)


def test_entries_are_encoded_oldest_first_and_padded_after_the_newest(items: ItemTable) -> None:
    history = [entry(10, "mug"), entry(13, "lamp", PURCHASE, 2500), entry(13, "gone")]
    inputs = encode([history], FEATURES, items, max_length=50)
    assert inputs.length.tolist() == [3]
    assert inputs.action[0].tolist() == [CLICK + 1, PURCHASE + 1, CLICK + 1, 0, 0, 0, 0, 0]
    np.testing.assert_array_equal(inputs.item_vectors[0, :4], [[1, 2], [3, 4], [0, 0], [0, 0]])
    np.testing.assert_allclose(inputs.gap[0, :4], [0, np.log1p(3), 0, 0], rtol=1e-6)


def test_price_is_the_entrys_then_the_catalogues_then_none(items: ItemTable) -> None:
    history = [entry(1, "mug", PURCHASE, 2500), entry(2, "mug"), entry(3, "lamp"), entry(4, "gone")]
    price = encode_entries(history, items).price
    np.testing.assert_allclose(price, [np.log1p(2.5), np.log1p(4.0), 0, 0], rtol=1e-6)


def test_long_history_keeps_its_newest_entries_with_their_gaps(items: ItemTable) -> None:
    history = [entry(second * second, "mug") for second in range(64)]
    inputs = encode([history], FEATURES, items, max_length=50)
    whole = encode_entries(history, items)
    assert inputs.length.tolist() == [50]
    np.testing.assert_array_equal(inputs.gap[0], whole.gap[-50:])


def test_empty_history_is_all_padding(items: ItemTable) -> None:
    inputs = encode([[]], FEATURES, items, max_length=50)
    assert inputs.length.tolist() == [0]
    assert not inputs.action.any()
    assert not inputs.item_vectors.any()


@pytest.mark.parametrize(("length", "bucket"), [(0, 8), (8, 8), (9, 16), (33, 50), (50, 50)])
def test_bucket_is_the_smallest_that_holds_the_history(length: int, bucket: int) -> None:
    assert bucket_of(length, 50) == bucket


def test_no_bucket_is_longer_than_the_model_reads() -> None:
    assert bucket_of(3, 5) == 5


def test_streamed_states_and_the_training_set_encode_alike() -> None:
    """One log, event by event through stored states, and through the data set: identical arrays."""
    fitted = planted()
    dataset, vectors = fitted.dataset, fitted.trained.vectors
    table = ItemTable(vectors.shape[1])
    items = list(PlantedSource().items())
    table.put([item.item_id for item in items], vectors[1:], [item.price for item in items])
    stored: dict[str, bytes] = {}
    for _, event in PlantedSource().events():
        state = decode_state(stored[event.user_id]) if event.user_id in stored else UserState()
        update(state, event, None)
        stored[event.user_id] = encode_state(state)
    user_ids = dataset.interactions.user_ids
    histories = [decode_state(stored[user_id]).history for user_id in user_ids]
    features = np.zeros((len(user_ids), len(NUMERIC_NAMES)), dtype=np.float32)
    served = encode(histories, features, table, max_length=16)
    users = np.arange(len(user_ids))
    windows = newest_before(dataset.interactions, users, dataset.interactions.starts[users + 1], 16)
    trained = windows.model_inputs(vectors, features)
    for name in ModelInputs.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(served, name), getattr(trained, name), err_msg=name)
