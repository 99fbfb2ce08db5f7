"""The forest: the shares that scikit-learn's trees give, in torch and in an exported graph, to the last example."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.ensemble import ExtraTreesClassifier
from torch import Tensor, nn

from scorer.sessions import open_session
from training import forest as forests
from training.forest import ML_DOMAIN, ML_OPSET, Forest, _rounded_down

COUNT = 2000


def examples() -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Give counts, halves and numbers, of which the first two decide together."""
    random = np.random.default_rng(0)
    features = random.normal(size=(COUNT, 5)).astype(np.float32)
    features[:, 0] = random.integers(4, size=COUNT)
    features[:, 1] = random.integers(2, size=COUNT) / 2
    both = (features[:, 0] > 1) == (features[:, 1] > 0)
    return features, random.uniform(size=COUNT) < np.where(both, 0.8, 0.1)


@pytest.fixture(scope="module")
def grown() -> Forest:
    features, bought = examples()
    forest = Forest()
    forest.grow(features, bought, leaves=200, seed=1, trees=20)
    return forest


def answers(forest: Forest, features: NDArray[np.float32]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = forest(torch.from_numpy(features)).numpy()
    return found


def test_forest_answers_as_the_trees_that_were_grown(grown: Forest) -> None:
    features, bought = examples()
    trees = ExtraTreesClassifier(
        20,
        min_samples_leaf=COUNT // 200,
        max_depth=forests.DEEPEST,
        max_features=forests.FEATURES_TRIED,
        random_state=1,
    ).fit(features, bought)
    np.testing.assert_allclose(answers(grown, features), trees.predict_proba(features)[:, 1], atol=1e-6)


def test_interaction_of_two_features_is_found(grown: Forest) -> None:
    asked = np.zeros((4, 5), dtype=np.float32)
    asked[:, :2] = [[0, 0], [3, 0], [0, 0.5], [3, 0.5]]
    np.testing.assert_allclose(answers(grown, asked), [0.8, 0.1, 0.1, 0.8], atol=0.2)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the older exporter, which the product uses too
def test_exported_graph_answers_as_torch_does_at_the_thresholds_too(grown: Forest, tmp_path: Path) -> None:
    class Halved(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.forest = grown

        def forward(self, features: Tensor) -> Tensor:
            return self.forest(features) / 2

    path = tmp_path / "forest.onnx"
    torch.onnx.export(
        Halved(),
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
    inner = grown.feature >= 0
    at = grown.threshold[inner].numpy()[:COUNT]
    asked[np.arange(len(at)), grown.feature[inner].numpy()[:COUNT]] = at
    (found,) = open_session(path, "cpu").run(["half"], {"features": asked})
    np.testing.assert_allclose(found, answers(grown, asked) / 2, atol=1e-6)


def test_no_leaf_is_rarer_than_asked() -> None:
    features, bought = examples()
    forest = Forest()
    forest.grow(features, bought, leaves=10, seed=0, trees=3)
    assert int((forest.feature < 0).sum()) <= 3 * 10


def test_new_forest_answers_nothing_and_grows_anew() -> None:
    features, bought = examples()
    forest = Forest()
    assert not answers(forest, features).any()
    forest.grow(features, bought, leaves=200, seed=1, trees=20)
    forest.grow(features, ~bought, leaves=200, seed=1, trees=5)
    assert len(forest.roots) == 5
    assert answers(forest, features)[bought].mean() < answers(forest, features)[~bought].mean()


def test_thresholds_part_the_same_float32_as_before() -> None:
    below = np.float32(0.1)
    above = np.nextafter(below, np.float32(1))
    between = np.array([(float(below) + float(above)) / 2, float(below), float(above) - 1e-12])
    assert _rounded_down(between).tolist() == [below, below, below]
