"""`lastclick about`: an answer from the newest published model, and what to do where there is none."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scorer.aspects import ASPECTS, STATES
from scorer.bundle import BundleError
from scorer.text_graph import INT8_GRAPH
from streams import cli
from streams.about import About, about
from streams.console import print_about
from streams.messages import AspectValue
from streams.settings import Settings
from tests.streams.bundles import publish

GOOD_DELIVERY = AspectValue("delivery", "positive", 0.9, 0.8)


def test_answer_is_one_json_document(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(tmp_path / "models", "aspects", "a1")
    monkeypatch.setenv("LASTCLICK_HOME", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["lastclick", "about", "good mug", "--json"])
    with pytest.raises(SystemExit) as ended:
        cli.main()

    answer = json.loads(capsys.readouterr().out)
    assert ended.value.code == 0
    assert (answer["text"], answer["model_version"]) == ("good mug", "a1")
    # The tiny model finds all four states of each aspect alike.
    assert [each["aspect"] for each in answer["aspects"]] == list(ASPECTS)
    assert all(each["label"] in STATES[1:] and each["value"] == 0.0 for each in answer["aspects"])


def test_without_a_model_the_error_says_which_command_makes_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LASTCLICK_HOME", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["lastclick", "about", "good mug"])
    with pytest.raises(SystemExit) as ended:
        cli.main()

    assert ended.value.code == 1
    assert "run lastclick train aspects" in capsys.readouterr().err


def test_damaged_model_gives_no_answer(tmp_path: Path) -> None:
    (publish(tmp_path / "models", "aspects", "a1") / INT8_GRAPH).write_bytes(b"")
    with pytest.raises(BundleError, match="sha256"):
        about(Settings(home=tmp_path, device="cpu"), "good mug")


def test_people_read_a_table_or_that_there_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    print_about(About("fast!", (GOOD_DELIVERY,), "a1"))
    print_about(About("hm", (), "a1"))

    shown = capsys.readouterr().out
    assert "delivery" in shown
    assert "+0.90" in shown
    assert "about none of product, service and delivery" in shown
