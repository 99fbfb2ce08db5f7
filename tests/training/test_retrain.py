from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from scorer.bundle import TrainedOn
from tests.bundle_variants import publish_variant
from tests.planted import Planted
from training import chain, cli, release_cli, retrain
from training.chain import Log, Made
from training.dataset import DAY_MS, Dataset
from training.retrain import (
    RetrainError,
    Retraining,
    Round,
    alone,
    champion_by_command,
    release_by_command,
    seconds_of,
)


@dataclass(frozen=True)
class PlantedLog(Log):
    """The planted log, opened already."""

    dataset: Dataset | None = None

    def open(self, progress: object) -> Dataset:
        assert self.dataset is not None
        return self.dataset


@dataclass
class Shop:
    """Retraining of the planted log, in which training and releasing are taken down."""

    fitted: Planted
    models: Path
    log: PlantedLog
    passes: bool = True
    done: list[str] = field(default_factory=list)

    def train(self, dataset: Dataset) -> Path:
        self.done.append("trained")
        return self.publish(self.log.source, self.log.until_ms(dataset))

    def publish(self, source: str, until_ms: int) -> Path:
        origin = TrainedOn(source=source, from_ms=self.log.open(None).first_ms, until_ms=until_ms)
        return publish_variant(self.fitted.bundle, self.models, lambda folder: None, trained_on=origin)

    def release(self, version: str) -> bool:
        self.done.append(f"released {version}")
        return self.passes

    def round(self, fewest_new: int = 100) -> Round:
        retraining = Retraining(self.models, self.log, fewest_new, self.train, self.release)
        return retraining.round(lambda message: None)


@pytest.fixture
def shop(fitted: Planted, tmp_path: Path) -> Shop:
    return Shop(fitted, tmp_path, PlantedLog("planted", hold_out_days=4.0, dataset=fitted.dataset))


def seen_before(shop: Shop, until_ms: int) -> int:
    return int((shop.fitted.dataset.interactions.ms < until_ms).sum())


def test_first_round_trains_on_everything_and_releases_it(shop: Shop) -> None:
    found = shop.round()

    assert found.outcome == "released"
    assert found.new == seen_before(shop, shop.log.until_ms(shop.fitted.dataset))
    assert shop.done == ["trained", f"released {found.version}"]


def test_round_without_anything_new_is_skipped(shop: Shop) -> None:
    shop.round()
    shop.done.clear()

    assert shop.round() == Round("skipped", 0, None)
    assert shop.done == []


def test_round_counts_what_the_newest_model_has_not_seen(shop: Shop) -> None:
    until_ms = shop.log.until_ms(shop.fitted.dataset)
    shop.publish("planted", until_ms - 6 * DAY_MS)
    new = seen_before(shop, until_ms) - seen_before(shop, until_ms - 6 * DAY_MS)
    assert new > 10

    assert shop.round(new + 1) == Round("skipped", new, None)
    assert shop.round(new).outcome == "released"


def test_model_of_another_log_has_seen_nothing(shop: Shop) -> None:
    shop.publish("another", shop.log.until_ms(shop.fitted.dataset))
    assert shop.round().outcome == "released"


def test_model_that_is_not_released_is_told(shop: Shop) -> None:
    shop.passes = False
    found = shop.round()
    assert found.outcome == "refused"
    assert found.version is not None


def test_two_at_once_are_prevented(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from training.retrain import alone\n"
        "with alone(Path(sys.argv[1])): print('in', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "in\n"
        with pytest.raises(RetrainError, match=f"process {other.pid} retrains from this home"), alone(tmp_path):
            pass
        other.communicate("")
    with alone(tmp_path):
        pass


@pytest.mark.parametrize(("every", "seconds"), [("30m", 1800.0), ("6h", 21600.0), ("1.5d", 129600.0)])
def test_time_between_rounds(every: str, seconds: float) -> None:
    assert seconds_of(every) == seconds


@pytest.mark.parametrize("every", ["", "6", "h", "0h", "-1h", "6 hours"])
def test_what_is_no_time_is_refused(every: str) -> None:
    with pytest.raises(RetrainError, match="expected a time such as 30m, 6h or 1d"):
        seconds_of(every)


def test_release_is_the_products_own_verb(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        commands.append(command[3:])
        return subprocess.CompletedProcess(command, len(commands) - 1)

    monkeypatch.setattr(subprocess, "run", run)

    assert release_by_command("v1") is True
    assert release_by_command("v2") is False
    assert commands == [["release", "recommender", "v1"], ["release", "recommender", "v2"]]


def test_champion_is_what_status_says(monkeypatch: pytest.MonkeyPatch) -> None:
    said = ['{"releases": {"recommender": {"version": "v3"}}}', '{"releases": {}}', '{"releases": {"sentiment": {}}}']

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        assert command[3:] == ["status", "--json"]
        return subprocess.CompletedProcess(command, 1, said.pop(0).encode(), b"")

    monkeypatch.setattr(subprocess, "run", run)
    assert [champion_by_command() for _ in range(3)] == ["v3", None, None]


def test_status_that_says_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = subprocess.CompletedProcess([], 1, b"", b"lastclick: LASTCLICK_KAFKA: saw x\n")
    monkeypatch.setattr(subprocess, "run", lambda command, **_: broken)
    with pytest.raises(RetrainError, match=r"ended with 1 and said .* LASTCLICK_KAFKA: saw x"):
        champion_by_command()


@pytest.mark.parametrize(
    ("words", "released", "started_from"),
    [([], "v3", "v3"), ([], None, None), (["--from-scratch"], "v3", None)],
)
def test_round_trains_from_the_champion_unless_told_otherwise(
    words: list[str],
    released: str | None,
    started_from: str | None,
    fitted: Planted,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    starts: list[Path | None] = []

    def train(*_: object, champion: Path | None, **__: object) -> Made:
        starts.append(champion)
        return Made(fitted.trained, tmp_path / "models" / "recommender" / "v4")

    monkeypatch.setenv("LASTCLICK_HOME", str(tmp_path))
    monkeypatch.setattr(Log, "open", lambda self, progress: fitted.dataset)
    monkeypatch.setattr(chain, "train_recommender", train)
    monkeypatch.setattr(retrain, "champion_by_command", lambda: released)
    monkeypatch.setattr(retrain, "release_by_command", lambda version: True)
    app = typer.Typer()
    cli.register(app)

    ended = CliRunner().invoke(app, ["retrain", "shop", "--fewest-new", "1", *words])

    assert ended.exit_code == 0, ended.output
    assert starts == [tmp_path / "models" / "recommender" / started_from if started_from else None]
    assert ("trains from nothing" in ended.stderr) is (started_from is None)


def test_rounds_follow_each_other_whatever_became_of_the_last(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rounds = [Round("refused", 7, "v1"), Round("skipped", 0, None), Round("released", 9, "v2")]
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            raise KeyboardInterrupt

    monkeypatch.setenv("LASTCLICK_HOME", str(tmp_path))
    monkeypatch.setattr(Retraining, "round", lambda self, progress: rounds.pop(0))
    monkeypatch.setattr(release_cli.time, "sleep", sleep)
    app = typer.Typer()
    cli.register(app)

    CliRunner().invoke(app, ["retrain", "shop", "--every", "30m"])

    assert pauses == [1800.0, 1800.0, 1800.0]
    assert rounds == []


@pytest.mark.parametrize(("outcome", "fails"), [("refused", True), ("released", False), ("skipped", False)])
def test_single_round_fails_when_its_model_is_not_released(
    outcome: Any, fails: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("LASTCLICK_HOME", str(tmp_path))
    monkeypatch.setattr(Retraining, "round", lambda self, progress: Round(outcome, 7, "v1"))
    app = typer.Typer()
    cli.register(app)

    ended = CliRunner().invoke(app, ["retrain", "shop"])

    assert isinstance(ended.exception, release_cli.GatesRefuse) is fails
    assert (ended.exit_code != 0) is fails
