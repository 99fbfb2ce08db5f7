from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from training.evaluate_group import EvaluateGroup


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer()
    evaluate_app = typer.Typer(cls=EvaluateGroup, context_settings={"ignore_unknown_options": True})

    @evaluate_app.command("log")
    def log(source: str, path: str = "none", json: bool = False) -> None:
        typer.echo(f"log {source} {path} {json}")

    @evaluate_app.command("propensity")
    def propensity(source: str) -> None:
        typer.echo(f"propensity {source}")

    made.add_typer(evaluate_app, name="evaluate")
    made.command("other")(log)
    return made


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["shop"], "log shop none False"),
        (["log", "shop"], "log shop none False"),
        (["shop", "--path", "here", "--json"], "log shop here True"),
        (["--json", "shop"], "log shop none True"),
        (["propensity", "shop"], "propensity shop"),
    ],
)
def test_word_that_is_no_subject_is_a_source(app: typer.Typer, words: list[str], said: str) -> None:
    result = CliRunner().invoke(app, ["evaluate", *words])
    assert (result.exit_code, result.output.strip()) == (0, said)


def test_unknown_option_is_wrong_usage(app: typer.Typer) -> None:
    result = CliRunner().invoke(app, ["evaluate", "shop", "--colour"])
    assert result.exit_code == 2
    assert "--colour" in result.output


def test_help_of_the_verb_names_its_subjects(app: typer.Typer) -> None:
    result = CliRunner().invoke(app, ["evaluate", "--help"])
    assert result.exit_code == 0
    assert "propensity" in result.output
