"""Bundles built once: the text models from the installed encoder and the shipped weights, and a small recommender."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def text_encoder_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from training.text_encoder import build

    return build(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def sentiment_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from training.sentiment import build

    return build(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def recommender_bundle() -> Path:
    """Folder of a recommender trained on the planted log."""
    from tests.planted import planted

    return planted().bundle
