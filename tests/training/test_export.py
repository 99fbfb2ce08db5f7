from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from scorer.bundle import load_bundle
from scorer.recommender import GRAPH, OUTPUTS, Recommender
from scorer.sessions import open_session
from tests.planted import Planted
from training import export as exporting
from training.export import ParityError, export, golden_inputs
from training.windows import newest_before


def test_graph_answers_as_torch_does_at_every_length(fitted: Planted) -> None:
    dataset, trained = fitted.dataset, fitted.trained
    session = open_session(fitted.bundle / GRAPH, "cpu")
    random = np.random.default_rng(0)
    for length in (1, 3, 8, 17, 33, 50):
        users = np.arange(4)
        windows = newest_before(dataset.interactions, users, dataset.interactions.starts[users + 1], length)
        features = random.normal(size=(4, trained.size.features)).astype(np.float32)
        inputs = windows.model_inputs(trained.vectors, features)
        with torch.no_grad():
            expected = trained.model(*(torch.from_numpy(array) for array in inputs.feed().values()))
        for seen, wanted in zip(session.run(OUTPUTS, inputs.feed()), expected, strict=True):
            np.testing.assert_allclose(seen, wanted.numpy(), atol=1e-4)


def test_golden_inputs_hold_an_empty_history_and_long_ones(fitted: Planted) -> None:
    lengths = golden_inputs(fitted.trained, fitted.dataset).length
    assert lengths.min() == 0
    assert lengths.max() > 8


def test_bundle_holds_known_items_only(fitted: Planted) -> None:
    manifest = load_bundle(fitted.bundle, "recommender").manifest
    assert manifest.items == 21  # ten pairs and the charm; nobody touched the unsold one
    assert manifest.dims == {"item": 17, "text": 16}
    assert manifest.note == "a planted log"


def test_metrics_travel_in_the_manifest(fitted: Planted) -> None:
    metrics = Recommender.load(fitted.bundle, "cpu").manifest.metrics
    assert {"validation_hit_rate_10", "validation_ndcg_10", "validation_auc"} <= set(metrics)


def test_graph_unlike_torch_is_not_published(fitted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = exporting._torch_outputs
    monkeypatch.setattr(
        exporting,
        "_torch_outputs",
        lambda trained, inputs: {name: array + 1 for name, array in expected(trained, inputs).items()},
    )
    with pytest.raises(ParityError, match=r"output user_vector differs from torch by 1, expected at most 0\.0001"):
        export(fitted.trained, fitted.dataset, tmp_path, text_encoder="", note="")
    assert list((tmp_path / "recommender").iterdir()) == []
