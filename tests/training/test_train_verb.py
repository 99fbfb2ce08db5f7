"""`train recommender`, whole: a stranger's table in, a bundle, a page, scalars and a checkpoint out."""

from __future__ import annotations

import csv
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer
from numpy.typing import NDArray
from typer.testing import CliRunner

from scorer.bundle import latest_bundle
from tests.planted import SMALL, TEXT_WIDTH, PlantedSource
from training import chain, cli
from training.pages import gated
from training.search import SettingsFileError, write_settings


class Encoder:
    """Text vectors drawn by the text."""

    weights_sha256 = "0" * 64
    dim = TEXT_WIDTH

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        rows = [np.random.default_rng(zlib.crc32(text.encode())).normal(size=TEXT_WIDTH) for text in texts]
        return np.array(rows, dtype=np.float32)


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    monkeypatch.setenv("LASTCLICK_HOME", str(tmp_path / "home"))
    for module in (chain, gated):
        monkeypatch.setattr(module, "text_encoder", lambda models, progress: Encoder())
    made = typer.Typer()
    cli.register(made)
    return made


@pytest.fixture
def words(tmp_path: Path) -> list[str]:
    path = tmp_path / "log.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["user", "item", "time"])
        writer.writerows([event.user_id, event.item_id, event.occurred_at_ms] for _, event in PlantedSource().events())
    roles = [f"{role}={role}" for role in ("user", "item", "time")]
    columns = [word for role in roles for word in ("--column", role)]
    return ["train", "recommender", "csv", str(path), *columns, "--time-unit", "ms"]


def test_training_leaves_a_page_scalars_and_a_checkpoint(app: typer.Typer, words: list[str], tmp_path: Path) -> None:
    page, scalars, checkpoints = tmp_path / "page.html", tmp_path / "scalars", tmp_path / "checkpoints"
    settings = write_settings(tmp_path / "best.json", replace(SMALL, epochs=2))
    words += [
        "--settings",
        str(settings),
        "--report",
        str(page),
        "--tensorboard",
        str(scalars),
        "--checkpoints",
        str(checkpoints),
    ]

    ended = CliRunner().invoke(app, words)

    assert ended.exit_code == 0, ended.output
    bundle = latest_bundle(tmp_path / "home" / "models", "recommender")
    assert ended.stdout == f"published {bundle}\n"
    html = page.read_text(encoding="utf-8")
    assert f"<h1>Recommender {bundle.name}</h1>" in html
    assert "at least 200: train with --hold-out-days" in html  # what the held-out gate needs of so small a log
    assert "recommender: loss" in html
    assert "<td>width</td><td>16</td>" in html
    assert list(scalars.glob("events.*"))
    again = CliRunner().invoke(app, words)
    assert "goes on after pass 2" in again.stderr


def test_file_that_holds_other_settings_is_refused(app: typer.Typer, words: list[str], tmp_path: Path) -> None:
    file = tmp_path / "best.json"
    file.write_text('{"wide": 1}')
    ended = CliRunner().invoke(app, [*words, "--settings", str(file)])
    assert isinstance(ended.exception, SettingsFileError)
    assert "saw wide" in str(ended.exception)
