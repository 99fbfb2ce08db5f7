from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from tests.training.next_item.chains import SMALL, rings, write_users
from training import cli
from training.next_item import settings
from training.next_item.sequences import SequencesError


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    monkeypatch.setattr(settings, "NextItemSettings", lambda: replace(SMALL, epochs=2))
    made = typer.Typer()
    cli.register(made)
    return made


def test_sequences_print_one_json_document(app: typer.Typer, tmp_path: Path) -> None:
    users = write_users(tmp_path / "users.txt", rings(60))
    words = ["evaluate", "sequences", str(users), "--json", "--seed", "4", "--budget-s", "60", "--threads", "1"]
    words += ["--report", str(tmp_path / "report.html"), "--tensorboard", str(tmp_path / "scalars")]
    result = CliRunner().invoke(app, [*words, "--device", "cpu", "--graph", str(tmp_path / "graph.onnx")])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert {f"{name}_{cut}" for name in ("hr", "ndcg") for cut in (5, 10, 20)} <= set(report)
    assert report["users"] == 60
    assert report["seed"] == 4
    assert report["exported"]["milliseconds_per_user"] > 0
    assert "pass 1/" in result.stderr
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 4  # by length, by time, curves of the fit and of the refit
    assert "member-1-refit: loss" in page
    assert list((tmp_path / "scalars").glob("events.*"))


def test_sessions_print_one_json_document(app: typer.Typer, tmp_path: Path) -> None:
    train, test = tmp_path / "train.txt", tmp_path / "test.tsv"
    train.write_text("".join(f"{' '.join(map(str, walk))}\n" for walk in rings(80)))
    test.write_text("1 2\t3\n5\t6\n")
    result = CliRunner().invoke(app, ["evaluate", "sessions", str(train), str(test), "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert {f"{name}_{cut}" for name in ("p", "mrr") for cut in (5, 10, 20)} <= set(report)
    assert report["prefixes"] == 2


def test_table_is_printed_without_json(app: typer.Typer, tmp_path: Path) -> None:
    users = write_users(tmp_path / "users.txt", rings(40))
    result = CliRunner().invoke(app, ["evaluate", "sequences", str(users)])
    assert result.exit_code == 0, result.output
    assert "popularity" in result.stdout


def test_bad_file_fails_with_its_line(app: typer.Typer, tmp_path: Path) -> None:
    path = tmp_path / "users.txt"
    path.write_text("ann a b c\nbob\n")
    result = CliRunner().invoke(app, ["evaluate", "sequences", str(path)])
    assert result.exit_code == 1
    assert isinstance(result.exception, SequencesError)


def test_word_that_is_no_verb_is_a_source(app: typer.Typer) -> None:
    result = CliRunner().invoke(app, ["evaluate", "no-such-source"])
    assert "no-such-source" in str(result.exception)
