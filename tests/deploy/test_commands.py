from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.local.__main__ import app


@pytest.fixture(autouse=True)
def _own_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LASTCLICK_KAFKA", raising=False)
    monkeypatch.delenv("LASTCLICK_CASSANDRA", raising=False)


def test_status_of_an_empty_home_says_stopped_and_fails(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["status", "--home", str(tmp_path)])
    assert result.exit_code == 1
    assert result.stdout.count("stopped") == 2


def test_status_gives_json_for_programs(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["status", "--json", "--home", str(tmp_path)])
    seen = json.loads(result.stdout)
    assert seen["home"] == str(tmp_path.resolve())
    assert seen["all_answer"] is False
    assert [(server["name"], server["state"]) for server in seen["servers"]] == [
        ("kafka", "stopped"),
        ("cassandra", "stopped"),
    ]


def test_down_of_an_empty_home_succeeds(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["down", "--home", str(tmp_path)]).exit_code == 0


@pytest.mark.parametrize("verb", ["up", "status"])
def test_a_bad_address_is_an_error_of_one_line(verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LASTCLICK_KAFKA", "nowhere")
    monkeypatch.setenv("LASTCLICK_CASSANDRA", "nowhere")
    result = CliRunner().invoke(app, [verb, "--home", str(tmp_path)])
    assert result.exit_code == 1
    assert "expected host:port" in result.stderr
    assert len(result.stderr.splitlines()) == 1
