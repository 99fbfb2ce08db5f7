from __future__ import annotations

import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from training import cli


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer()
    cli.register(made)
    return made


def test_command_line_is_registered_without_importing_torch() -> None:
    script = "import sys, typer, training.cli as c; c.register(typer.Typer()); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_absent_torch_says_what_to_install(app: typer.Typer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "NEEDED", ("no_such_package",))
    result = CliRunner().invoke(app, ["train", "recommender", "shop"])
    assert isinstance(result.exception, cli.TrainingError)
    assert "no_such_package, not installed here" in str(result.exception)
    assert "pip install 'lastclick[training]'" in str(result.exception)


@pytest.mark.parametrize(
    "verb",
    [
        ["train"],
        ["train", "recommender"],
        ["train", "all"],
        ["evaluate"],
        ["evaluate", "log"],
        ["evaluate", "propensity"],
    ],
)
def test_every_verb_has_help(app: typer.Typer, verb: list[str]) -> None:
    assert CliRunner().invoke(app, [*verb, "--help"]).exit_code == 0
