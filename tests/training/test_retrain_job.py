from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer
import yaml

from streams.settings import Settings
from training import cli
from training.retrain import seconds_of

JOB = Path(__file__).parents[2] / "deploy" / "kubernetes" / "retrain.yaml"


@pytest.fixture(scope="module")
def job() -> dict[str, Any]:
    (found,) = yaml.safe_load_all(JOB.read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


@pytest.fixture(scope="module")
def container(job: dict[str, Any]) -> dict[str, Any]:
    (found,) = pod(job)["containers"]
    assert isinstance(found, dict)
    return found


def pod(job: dict[str, Any]) -> dict[str, Any]:
    found = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert isinstance(found, dict)
    return found


def test_command_is_one_round_of_the_real_verb(container: dict[str, Any]) -> None:
    program, verb, *words = [*container["command"], *container["args"]]
    assert (program, verb) == ("lastclick", "retrain")
    app = typer.Typer()
    cli.register(app)
    command = typer.main.get_command(app).commands[verb]  # type: ignore[attr-defined]  # it is a group
    given = command.make_context(verb, words).params
    assert (given["source"], given["every"]) == ("archive", None)
    environment = {one["name"]: one["value"] for one in container["env"]}
    assert given["path"] == Path(environment["LASTCLICK_HOME"]) / "archive"
    assert given["threads"] == int(environment["OMP_NUM_THREADS"]) == int(container["resources"]["requests"]["cpu"])


def test_unknown_option_would_be_noticed(container: dict[str, Any]) -> None:
    app = typer.Typer()
    cli.register(app)
    command = typer.main.get_command(app).commands["retrain"]  # type: ignore[attr-defined]  # it is a group
    with pytest.raises(Exception, match="No such option"):
        command.make_context("retrain", [*container["command"][2:], "--warm"])


def test_environment_is_what_settings_read(container: dict[str, Any]) -> None:
    environment = {one["name"]: one["value"] for one in container["env"] if one["name"].startswith("LASTCLICK_")}
    settings = Settings.from_environment(environment)
    assert (settings.kafka, settings.cassandra) == ("kafka:9092", "cassandra:9042")
    assert str(settings.home) == environment["LASTCLICK_HOME"]


def test_rounds_never_overlap_and_end_before_the_next(job: dict[str, Any]) -> None:
    spec = job["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["schedule"] == "0 */6 * * *"
    assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] < seconds_of("6h")
    assert spec["jobTemplate"]["spec"]["backoffLimit"] == 0


def test_home_is_a_volume_and_nothing_runs_as_root(job: dict[str, Any], container: dict[str, Any]) -> None:
    claims = {one["name"] for one in pod(job)["volumes"] if "persistentVolumeClaim" in one}
    mounted = {one["mountPath"]: one["name"] for one in container["volumeMounts"]}
    assert mounted["/var/lib/lastclick"] in claims
    assert pod(job)["securityContext"]["runAsNonRoot"] is True
    assert set(container["resources"]) == {"requests", "limits"}
