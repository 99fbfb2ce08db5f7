from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from training.reporting import Curves, Pass, pass_line, recording

FIRST = Pass("trunk", 1, {"loss": 2.0, "validation_ndcg_10": 0.25})
SECOND = Pass("trunk", 2, {"loss": 1.5, "validation_ndcg_10": 0.5})
OTHER = Pass("head", 1, {"loss": 0.5})

WANDB = """
import json, os

class Run:
    def __init__(self, **options):
        self.lines = [["init", options["project"], options["name"], options["config"]]]
    def define_metric(self, name, step_metric):
        self.lines.append(["metric", name, step_metric])
    def log(self, figures):
        self.lines.append(["log", figures])
    def finish(self):
        with open(os.environ["WANDB_WRITTEN"], "w") as file:
            json.dump(self.lines, file)

def init(**options):
    return Run(**options)
"""


def test_line_says_figures_and_the_time_left() -> None:
    line = pass_line(SECOND, 6, spent_s=10.0)
    assert line == "pass 2/6  loss 1.5000  validation ndcg 10 0.5000  10 s, at most 20 s left"
    assert pass_line(SECOND, 6, spent_s=10.0, left=1).endswith("at most 5 s left")


def test_curves_keep_every_part_apart() -> None:
    curves = Curves()
    for made in (FIRST, OTHER, SECOND):
        curves(made)
    assert curves.parts == ["trunk", "head"]
    assert curves.of("trunk") == {"loss": [(1, 2.0), (2, 1.5)], "validation_ndcg_10": [(1, 0.25), (2, 0.5)]}


def test_scalars_can_be_read_back_from_tensorboard(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    told: list[str] = []
    with recording(
        Curves(), name="run", settings={}, tensorboard=tmp_path, progress=told.append, environment={}
    ) as record:
        record(FIRST)
        record(SECOND)
    events = EventAccumulator(str(tmp_path)).Reload()
    assert [(one.step, one.value) for one in events.Scalars("trunk/loss")] == [(1, 2.0), (2, 1.5)]
    assert events.Scalars("trunk/validation_ndcg_10")[1].value == 0.5
    assert f"tensorboard --logdir {tmp_path}" in told[0]


def test_key_of_weights_and_biases_without_its_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    told: list[str] = []
    curves = Curves()
    environment = {"WANDB_API_KEY": "secret"}
    with recording(
        curves, name="run", settings={}, tensorboard=None, progress=told.append, environment=environment
    ) as record:
        record(FIRST)
    assert "WANDB_API_KEY is set, but the package wandb is not installed" in told[0]
    assert "secret" not in told[0]
    assert curves.passes == [FIRST]


@pytest.mark.parametrize("key", ["", "secret"])
def test_passes_go_to_weights_and_biases_with_its_key_alone(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "wandb.py").write_text(WANDB)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.delitem(sys.modules, "wandb")
    monkeypatch.setenv("WANDB_WRITTEN", str(tmp_path / "written.json"))
    with recording(
        Curves(),
        name="run",
        settings={"width": 8},
        tensorboard=None,
        progress=lambda message: None,
        environment={"WANDB_API_KEY": key},
    ) as record:
        record(FIRST)
        record(OTHER)
    assert (tmp_path / "written.json").exists() == bool(key)
    if key:
        assert json.loads((tmp_path / "written.json").read_text()) == [
            ["init", "lastclick", "run", {"width": 8}],
            ["metric", "trunk/*", "trunk/pass"],
            ["log", {"trunk/pass": 1, "trunk/loss": 2.0, "trunk/validation_ndcg_10": 0.25}],
            ["metric", "head/*", "head/pass"],
            ["log", {"head/pass": 1, "head/loss": 0.5}],
        ]
