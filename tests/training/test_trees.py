"""Trees: what scikit-learn's own answer, in torch and in an exported graph, to the last example."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier
from torch import Tensor, nn

from scorer.sessions import open_session
from training import boosting, forest
from training.boosting import BAGS, boost
from training.forest import grow_forest
from training.trees import ML_DOMAIN, ML_OPSET, Trees, _rounded_down

COUNT = 2000


def examples() -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Give counts, halves and numbers, of which the first two decide together."""
    random = np.random.default_rng(0)
    features = random.normal(size=(COUNT, 5)).astype(np.float32)
    features[:, 0] = random.integers(4, size=COUNT)
    features[:, 1] = random.integers(2, size=COUNT) / 2
    both = (features[:, 0] > 1) == (features[:, 1] > 0)
    return features, random.uniform(size=COUNT) < np.where(both, 0.8, 0.1)


def planted_forest() -> Trees:
    trees = Trees()
    trees.plant(grow_forest(*examples(), leaves=200, seed=1, trees=20))
    return trees


def planted_boosting() -> Trees:
    trees = Trees()
    trees.plant(*boost(*examples(), rounds=15, seed=1))
    return trees


def answers(trees: Trees, features: NDArray[np.float32]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = trees(torch.from_numpy(features)).numpy()
    return found


def test_forest_answers_as_the_trees_that_were_grown() -> None:
    features, bought = examples()
    grown = ExtraTreesClassifier(
        20,
        min_samples_leaf=COUNT // 200,
        max_depth=forest.DEEPEST,
        max_features=forest.FEATURES_TRIED,
        random_state=1,
    ).fit(features, bought)
    np.testing.assert_allclose(answers(planted_forest(), features), grown.predict_proba(features)[:, 1], atol=1e-6)


def test_boosted_trees_answer_the_mean_logit_of_those_that_were_boosted() -> None:
    features, bought = examples()
    models = [boosting._unfitted(15, [1, bag], early_stopping=False).fit(features, bought) for bag in range(BAGS)]
    expected = np.mean([model.decision_function(features) for model in models], axis=0)
    assert np.std([model.decision_function(features[:1]) for model in models]) > 0
    np.testing.assert_allclose(answers(planted_boosting(), features), expected, atol=1e-5)


def test_interaction_of_two_features_is_found_by_a_forest() -> None:
    asked = np.zeros((4, 5), dtype=np.float32)
    asked[:, :2] = [[0, 0], [3, 0], [0, 0.5], [3, 0.5]]
    np.testing.assert_allclose(answers(planted_forest(), asked), [0.8, 0.1, 0.1, 0.8], atol=0.2)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the older exporter, which the product uses too
@pytest.mark.parametrize("plant", [planted_forest, planted_boosting, Trees])
def test_exported_graph_answers_as_torch_does_at_the_thresholds_too(plant: Callable[[], Trees], tmp_path: Path) -> None:
    class Halved(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trees = plant()

        def forward(self, features: Tensor) -> Tensor:
            return self.trees(features) / 2

    halved = Halved()
    path = tmp_path / "trees.onnx"
    torch.onnx.export(
        halved,
        (torch.zeros(2, 5),),
        str(path),
        dynamo=False,
        opset_version=17,
        custom_opsets={ML_DOMAIN: ML_OPSET},
        input_names=["features"],
        output_names=["half"],
        dynamic_axes={"features": {0: "users"}, "half": {0: "users"}},
    )
    asked, _ = examples()
    inner = halved.trees.feature >= 0
    at = halved.trees.threshold[inner].numpy()[:COUNT]
    asked[np.arange(len(at)), halved.trees.feature[inner].numpy()[:COUNT]] = at
    (found,) = open_session(path, "cpu").run(["half"], {"features": asked})
    np.testing.assert_allclose(found, answers(halved.trees, asked) / 2, atol=1e-6)


def test_no_leaf_of_a_forest_is_rarer_than_asked() -> None:
    trees = Trees()
    trees.plant(grow_forest(*examples(), leaves=10, seed=0, trees=3))
    assert int((trees.feature < 0).sum()) <= 3 * 10


def test_new_trees_answer_nothing_and_are_planted_anew() -> None:
    features, bought = examples()
    trees = Trees()
    assert not answers(trees, features).any()
    trees.plant(grow_forest(features, bought, leaves=200, seed=1, trees=20))
    trees.plant(grow_forest(features, ~bought, leaves=200, seed=1, trees=5))
    assert len(trees.roots) == 5
    assert answers(trees, features)[bought].mean() < answers(trees, features)[~bought].mean()


def test_thresholds_part_the_same_float32_as_before() -> None:
    below = np.float32(0.1)
    above = np.nextafter(below, np.float32(1))
    between = np.array([(float(below) + float(above)) / 2, float(below), float(above) - 1e-12])
    assert _rounded_down(between).tolist() == [below, below, below]
