from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from tests.training.next_item.chains import NO_LIMIT_S, SMALL, ring_split
from training.next_item.sequences import Split, without_last
from training.next_item.settings import NextItemSettings, SettingsError
from training.next_item.trials import Trial, combinations, read_trials, run_trials

SHORT = replace(SMALL, epochs=2)


@pytest.fixture(scope="module")
def split() -> Split:
    return ring_split(60)


def run(log: Path, split: Split, candidates: list[NextItemSettings], told: list[str], **changes: Any) -> list[Trial]:
    options: dict[str, Any] = {"device": torch.device("cpu"), "budget_s": NO_LIMIT_S, "held_out": False}
    return run_trials(log, [split], candidates, [0, 1], progress=told.append, **(options | changes))


def test_trials_of_the_log_are_not_made_again(split: Split, tmp_path: Path) -> None:
    log, told = tmp_path / "log" / "trials.jsonl", list[str]()
    first = run(log, split, [SHORT], told)
    assert [trial.seed for trial in first] == [0, 1]
    assert len(log.read_text().splitlines()) == 2
    told.clear()
    again = run(log, split, [SHORT, replace(SHORT, dropout=0.2)], told)
    assert again[:2] == first
    assert next(line for line in told if line.startswith("trial ")).startswith("trial 3 of 4")
    assert read_trials(log) == again
    assert json.loads(log.read_text().splitlines()[2])["changed"]["dropout"] == 0.2
    assert [path.name for path in log.parent.iterdir() if list(path.glob("*"))] == []  # no checkpoints are left


def test_killed_trial_goes_on_from_its_last_pass(split: Split, tmp_path: Path) -> None:
    log = tmp_path / "trials.jsonl"

    class Killed(Exception):
        pass

    def killed(message: str) -> None:
        if "member-1-fit: pass 2" in message:
            raise Killed

    options: dict[str, Any] = {"device": torch.device("cpu"), "budget_s": NO_LIMIT_S, "held_out": False}
    with pytest.raises(Killed):
        run_trials(log, [split], [SHORT], [0], progress=killed, **options)
    assert read_trials(log) == []
    told: list[str] = []
    run_trials(log, [split], [SHORT], [0], progress=told.append, **options)
    assert any("goes on after pass 2" in line for line in told)


def test_held_out_trial_tests_what_validates_otherwise(split: Split, tmp_path: Path) -> None:
    told: list[str] = []
    plain, held_out = (
        run(tmp_path / f"{name}.jsonl", part, [SHORT], told, held_out=name == "held")[0]
        for name, part in (("plain", split), ("held", without_last(split)))
    )
    assert plain.held_out is None
    assert held_out.held_out is not None
    assert held_out.held_out["hr_20"] > 0.2
    assert any("refit" in line for line in told)


def test_every_combination_of_choices_is_given() -> None:
    found = list(combinations(["width=64,128", "refit=false", "peak_rate=1e-3,2e-3"]))
    assert [(one.width, one.refit, one.peak_rate) for one in found] == [
        (64, False, 1e-3),
        (64, False, 2e-3),
        (128, False, 1e-3),
        (128, False, 2e-3),
    ]
    assert list(combinations([])) == [NextItemSettings()]


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("wide=64", "expected NAME=VALUE,VALUE with NAME one of width"),
        ("width", "expected NAME=VALUE"),
        ("width=a", "saw 'a', expected int values"),
        ("refit=yes", "expected bool values"),
        ("dropout=2", "dropout: saw 2.0, expected 0"),
    ],
)
def test_choice_that_does_not_fit_is_named(choice: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        list(combinations([choice]))
