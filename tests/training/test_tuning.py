from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from tests.training.next_item.chains import SMALL, rings, write_users
from training import cli, tuning
from training.next_item import sequences
from training.next_item import settings as next_item
from training.next_item.sequences import split_users
from training.next_item.settings import NextItemSettings
from training.reporting import Pass, Record
from training.search import Between, OneOf, SettingsFileError, read_settings
from training.settings import TUNED, Settings
from training.tuning import Trial, Tuned, TuneError, tune


@dataclass(frozen=True)
class Two:
    """Settings whose figure is known: the nearer `place` to 0.7 and the larger `size`, the better."""

    place: float = 0.1
    size: int = 1
    passes: int = 4


RANGES = {"place": Between(0.0, 1.0), "size": OneOf((1, 2, 3))}


class Killed(Exception):
    """Stands for a kill between two passes."""


def value_of(settings: Two) -> float:
    return settings.size / 10 - abs(settings.place - 0.7)


def learn(settings: Two, record: Record, checkpoints: Path) -> float:
    for number in range(1, settings.passes + 1):
        record(Pass("two", number, {"validation_ndcg_10": value_of(settings) * number / settings.passes}))
    return value_of(settings)


def search(folder: Path, objective: Any = learn, told: list[str] | None = None, **changes: Any) -> Tuned[Two]:
    options: dict[str, Any] = {"data": "d", "trials": 12, "budget_s": 1e9, "seed": 0} | changes
    return tune(
        objective,
        Two(),
        RANGES,
        watched="two",
        folder=folder,
        progress=[].append if told is None else told.append,
        **options,
    )


def told_apart(trials: list[Trial]) -> list[tuple[Any, ...]]:
    return [(one.changed, one.validation, one.passes, one.dropped) for one in trials]


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory: pytest.TempPathFactory) -> Tuned[Two]:
    return search(tmp_path_factory.mktemp("unbroken"))


def test_search_begins_with_the_defaults_and_ends_above_them(unbroken: Tuned[Two]) -> None:
    assert unbroken.trials[0].changed == {}
    assert unbroken.default == pytest.approx(value_of(Two()))
    assert unbroken.validation > unbroken.default + 0.3
    assert unbroken.validation == pytest.approx(value_of(unbroken.best), abs=1e-4)
    assert read_settings(unbroken.file, Two) == unbroken.best


def test_trials_behind_the_others_are_dropped(unbroken: Tuned[Two]) -> None:
    dropped = [one for one in unbroken.trials if one.dropped]
    assert dropped
    assert all(one.passes < Two.passes for one in dropped)
    assert all(one.validation < unbroken.validation for one in dropped)


def test_killed_search_goes_on_and_ends_as_if_it_had_never_stopped(unbroken: Tuned[Two], tmp_path: Path) -> None:
    begun: list[Two] = []

    def killed_in_the_fourth(settings: Two, record: Record, checkpoints: Path) -> float:
        begun.append(settings)
        if len(begun) == 4:
            record(Pass("two", 1, {"validation_ndcg_10": 0.0}))
            raise Killed
        return learn(settings, record, checkpoints)

    with pytest.raises(Killed):
        search(tmp_path, killed_in_the_fourth)
    told: list[str] = []
    resumed = search(tmp_path, told=told)
    assert told[0].startswith("trial 4/12")
    assert told_apart(resumed.trials) == told_apart(unbroken.trials)
    assert resumed.best == unbroken.best
    assert begun[3] == Two(**(vars(Two()) | resumed.trials[3].changed))


def test_ended_search_trains_nothing_again(tmp_path: Path) -> None:
    first = search(tmp_path, trials=3)

    def never(settings: Two, record: Record, checkpoints: Path) -> float:
        raise AssertionError

    assert search(tmp_path, never, trials=3) == first


def test_budget_breaks_off_after_a_pass_and_the_next_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock_s = [0.0]
    monkeypatch.setattr(tuning, "time", SimpleNamespace(monotonic=lambda: clock_s[0]))
    begun: list[tuple[Two, Path]] = []

    def second_a_pass(settings: Two, record: Record, checkpoints: Path) -> float:
        def recorded(made: Pass) -> None:
            clock_s[0] += 1.0
            record(made)

        begun.append((settings, checkpoints))
        return learn(settings, recorded, checkpoints)

    told: list[str] = []
    first = search(tmp_path, second_a_pass, told, budget_s=10.0)
    assert clock_s == [11.0]
    assert [one.seconds for one in first.trials] == [4.0, 4.0]
    assert told[-1].startswith("the budget is spent")
    second = search(tmp_path, second_a_pass, trials=3)
    assert len(second.trials) == 3
    assert begun[2] == begun[3]  # the same settings, and the folder where their checkpoints are


def test_first_trial_ends_whatever_the_budget(tmp_path: Path) -> None:
    assert [one.changed for one in search(tmp_path, budget_s=0.0).trials] == [{}]


def test_training_that_diverges_is_dropped(tmp_path: Path) -> None:
    def diverging(settings: Two, record: Record, checkpoints: Path) -> float:
        if settings != Two():
            raise ArithmeticError("saw a loss of nan")
        return learn(settings, record, checkpoints)

    found = search(tmp_path, diverging, trials=3)
    assert [one.dropped for one in found.trials] == [False, True, True]
    assert found.best == Two()


@pytest.mark.parametrize("change", [{"data": "other"}, {"seed": 1}])
def test_folder_of_another_search_is_refused(change: dict[str, Any], tmp_path: Path) -> None:
    search(tmp_path, trials=1)
    with pytest.raises(TuneError, match="name another folder"):
        search(tmp_path, trials=1, **change)


@pytest.mark.parametrize(("ranges", "defaults"), [(next_item.TUNED, NextItemSettings()), (TUNED, Settings())])
def test_every_range_holds_its_default_and_makes_settings(ranges: Any, defaults: Any) -> None:
    for name, range_ in ranges.items():
        ends = range_.values if isinstance(range_, OneOf) else (range_.least, range_.most)
        assert min(ends) <= getattr(defaults, name) <= max(ends)
        for end in ends:
            type(defaults)(**{name: end})


@pytest.mark.parametrize(
    ("written", "message"),
    [('{"place": "x"}', "place"), ('{"wide": 1}', "saw wide"), ("{", "expected JSON"), (None, "No such file")],
)
def test_file_that_holds_no_settings_is_refused(written: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    if written is not None:
        path.write_text(written)
    with pytest.raises(SettingsFileError, match=message):
        read_settings(path, Two)


def test_verb_searches_without_a_look_at_test_items(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = typer.Typer()
    cli.register(app)
    monkeypatch.setattr(next_item, "NextItemSettings", lambda: replace(SMALL, epochs=1))
    monkeypatch.setattr(next_item, "TUNED", {"dropout": Between(0.1, 0.5)})
    monkeypatch.setattr(sequences, "split_users", lambda path: replace(split_users(path), test=None))
    users, out = write_users(tmp_path / "users.txt", rings(60)), tmp_path / "search"
    words = ["tune", "sequences", str(users), "--trials", "2", "--out", str(out), "--device", "cpu", "--json"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert [trial["passes"] for trial in document["trials"]] == [1, 1]
    assert document["use"] == f"lastclick evaluate sequences {users} --settings {out / 'best.json'}"
    best = read_settings(out / "best.json", NextItemSettings)
    assert (best.width, best.dropout) == (SMALL.width, document["best"]["dropout"])
