from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer
from numpy.typing import NDArray
from typer.testing import CliRunner

from feature_repo.events import Cart
from tests.planted import SMALL, PlantedSource, planted_text_vectors
from training import cli, prepare, propensity_cli, settings
from training.dataset import Dataset
from training.reporting import Progress


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer()
    cli.register(made)
    return made


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """The planted log as a table with columns of its own names."""
    path = tmp_path / "log.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["who", "what", "when", "did"])
        for _, event in PlantedSource().events():
            did = "sold" if isinstance(event, Cart) else "view"
            writer.writerow([event.user_id, event.item_id, event.occurred_at_ms / 1000, did])
    return path


def vectors_of(dataset: Dataset, encoder: None, progress: Progress) -> NDArray[np.float32]:
    return planted_text_vectors(dataset)


def test_strangers_table_gives_one_json_document_and_a_picture(
    app: typer.Typer, log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The encoder of item texts takes half a minute to make, and plays no part here.
    monkeypatch.setattr(prepare, "text_encoder", lambda models_dir, progress: None)
    monkeypatch.setattr(prepare, "text_vectors", vectors_of)
    monkeypatch.setattr(settings, "Settings", lambda **chosen: replace(SMALL, epochs=1, **chosen))
    mapping = ["--column", "user=who", "--column", "item=what", "--column", "time=when", "--time-unit", "s"]
    mapping += ["--column", "action=did", "--action", "sold=purchase", "--held-out-days", "8.5"]
    out, page = tmp_path / "pictures", tmp_path / "report.html"
    words = ["evaluate", "propensity", "csv", str(log), *mapping, "--json", "--out", str(out), "--report", str(page)]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert set(report["methods"]) >= {"learned", "lightgbm", "logistic regression", "base rate"}
    assert set(report["methods"]["lightgbm"]) == {"auc", "average_precision", "calibration_error"}
    assert (out / "propensity-csv.png").is_file()
    assert len(report["precision_recall"]["learned"]) > 10
    assert set(report["milliseconds"]) == {part["name"] for part in report["history"]}
    assert page.read_text(encoding="utf-8").count("<svg") == 6


def test_absent_lightgbm_says_what_to_install(app: typer.Typer, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(propensity_cli, "NEEDED", ("no_such_package",))
    result = CliRunner().invoke(app, ["evaluate", "propensity", "csv", str(log)])
    assert isinstance(result.exception, cli.TrainingError)
    assert "no_such_package, not installed here" in str(result.exception)
