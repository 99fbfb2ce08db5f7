from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from feature_repo.features import NUMERIC_NAMES
from feature_repo.state import Entry
from scorer.item_table import ItemTable
from scorer.recommender import Recommender
from tests.planted import START_MS, TEXT_WIDTH, planted


@pytest.fixture(scope="module")
def recommender(recommender_bundle: Path) -> Recommender:
    return Recommender.load(recommender_bundle, "cpu")


@pytest.fixture(scope="module")
def items(recommender: Recommender) -> ItemTable:
    dataset, text_vectors = planted().dataset, planted().text_vectors
    table = ItemTable(recommender.item_width)
    item_ids = [item.item_id for item in dataset.items]
    table.put(item_ids, recommender.item_vectors(item_ids, text_vectors[1:]), [item.price for item in dataset.items])
    return table


def history(*item_ids: str) -> list[Entry]:
    return [Entry(START_MS + place * 60_000, place, 0, item_id, -1, 1) for place, item_id in enumerate(item_ids)]


def no_features(users: int) -> np.ndarray:
    return np.zeros((users, len(NUMERIC_NAMES)), dtype=np.float32)


def test_item_vector_is_learned_part_plus_projected_text(recommender: Recommender) -> None:
    trained = planted().trained
    made = recommender.item_vectors(["a0", "b0"], planted().text_vectors[[1, 2]])
    np.testing.assert_allclose(made, trained.vectors[[1, 2]], atol=1e-5)


def test_unseen_item_has_a_vector_by_text_alone(recommender: Recommender) -> None:
    assert recommender.knows("a0")
    assert not recommender.knows("unsold")
    text = planted().text_vectors[[1]]
    made = recommender.item_vectors(["brand-new"], text)
    np.testing.assert_allclose(made, text @ planted().trained.projection, atol=1e-5)
    assert np.abs(made).max() > 0


def test_unseen_item_can_be_ranked_and_read(recommender: Recommender, items: ItemTable) -> None:
    table = ItemTable(recommender.item_width)
    table.put(["a0", "b0"], items.vectors[items.rows(["a0", "b0"])], [1.0, 1.0])
    before = recommender.score(recommender.encode([history("a0", "new")], no_features(1), table))
    table.put(["new"], recommender.item_vectors(["new"], planted().text_vectors[[5]]), [1.0])
    after = recommender.score(recommender.encode([history("a0", "new")], no_features(1), table))
    assert np.isfinite(table.scores(after.user_vectors)).all()
    assert np.abs(after.user_vectors - before.user_vectors).max() > 1e-3


def test_planted_successor_is_ranked_first(recommender: Recommender, items: ItemTable) -> None:
    histories = [history(f"a{pair}") for pair in range(10)]
    scores = items.scores(recommender.score(recommender.encode(histories, no_features(10), items)).user_vectors)
    first = [items.item_ids[row] for row in scores.argmax(axis=1)]
    assert sum(item_id == f"b{pair}" for pair, item_id in enumerate(first)) >= 8


def test_score_does_not_depend_on_the_batch(recommender: Recommender, items: ItemTable) -> None:
    histories = [history(*(f"a{place % 10}" for place in range(length))) for length in range(60)]
    together = recommender.score(recommender.encode(histories, no_features(60), items))
    assert together.propensity.dtype == np.float32
    for place in (0, 1, 7, 8, 9, 31, 59):
        alone = recommender.score(recommender.encode([histories[place]], no_features(1), items))
        np.testing.assert_allclose(together.user_vectors[place], alone.user_vectors[0], atol=1e-5)
        np.testing.assert_allclose(together.propensity[place], alone.propensity[0], atol=1e-6)


def test_no_users_score_to_nothing(recommender: Recommender, items: ItemTable) -> None:
    scores = recommender.score(recommender.encode([], no_features(0), items))
    assert scores.user_vectors.shape == (0, recommender.item_width)


def test_warm_up_runs_every_bucket(recommender: Recommender, items: ItemTable) -> None:
    recommender.warm_up(items)
    assert recommender.max_length == 50


def test_text_vectors_of_another_encoder_width_are_refused(recommender: Recommender) -> None:
    with pytest.raises(ValueError, match=rf"saw shape \(1, 3\), expected \(1, {TEXT_WIDTH}\)"):
        recommender.item_vectors(["a0"], np.zeros((1, 3), dtype=np.float32))


def test_manifest_names_the_text_encoder(recommender: Recommender) -> None:
    assert recommender.text_encoder == "0" * 64
