from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from scorer.bundle import MODEL_CARD, read_manifest
from tests.planted import SMALL, TEXT_WIDTH, Planted
from training import chain
from training.chain import Log, train_recommender
from training.dataset import DAY_MS


class Encoder:
    """Text vectors of the planted log."""

    weights_sha256 = "0" * 64
    dim = TEXT_WIDTH


def test_end_of_the_log_is_held_out(fitted: Planted) -> None:
    dataset = fitted.dataset
    whole_days = (dataset.last_ms - dataset.first_ms) / DAY_MS
    assert 20 < whole_days < 25

    def held_out_days(log: Log) -> float:
        return (dataset.last_ms + 1 - log.until_ms(dataset)) / DAY_MS

    assert held_out_days(Log("planted", hold_out_days=3.0)) == pytest.approx(3.0)
    assert held_out_days(Log("planted", hold_out_days=0.0)) == 0.0
    assert held_out_days(Log("planted")) == pytest.approx(whole_days / 5, abs=0.001)
    longer = replace(dataset, first_ms=dataset.last_ms - 200 * DAY_MS)
    assert longer.last_ms + 1 - Log("planted").until_ms(longer) == 7 * DAY_MS
    assert longer.last_ms + 1 - Log("online-retail").until_ms(longer) == 28 * DAY_MS


def test_bundle_says_what_it_was_trained_on(fitted: Planted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chain, "text_encoder", lambda models, progress: Encoder())
    monkeypatch.setattr(chain, "text_vectors", lambda dataset, encoder: fitted.text_vectors)
    log = Log("planted", Path("log.csv"), {"days": 24}, hold_out_days=4.0)

    path = train_recommender(tmp_path, log, fitted.dataset, replace(SMALL, epochs=2), lambda message: None).path

    origin = read_manifest(path).trained_on
    assert (origin.source, origin.path, origin.options) == ("planted", str(Path("log.csv").resolve()), {"days": 24})
    assert (origin.from_ms, origin.until_ms) == (fitted.dataset.first_ms, fitted.dataset.last_ms + 1 - 4 * DAY_MS)
    card = (path / MODEL_CARD).read_text()
    assert "`planted`, days 24" in card
    assert "nothing later was looked at" in card
