"""The command line without servers: help, usage, settings, and errors that people can act on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from feature_repo.archive.view_files import view_path
from feature_repo.events import Click
from streams import cli
from streams.api.keys import Keys
from tests.feature_repo.archives import NOON_MS, Broker

VERBS = (
    *("up", "down", "status", "demo", "replay", "worker", "recommend", "features", "parity", "train", "evaluate"),
    *("archive", "archive-features", "gate", "release", "rollback", "retrain", "explain", "serve", "about", "rules"),
)


class Ended:
    """How a command ended, and what it printed."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


Run = Callable[..., Ended]


@pytest.fixture
def lastclick(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run the command line in an empty home."""
    for name in ("LASTCLICK_KAFKA", "LASTCLICK_CASSANDRA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("LASTCLICK_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")

    def run(*words: str) -> Ended:
        monkeypatch.setattr("sys.argv", ["lastclick", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return Ended(int(ended.value.code or 0), printed.out, printed.err)

    return run


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str, lastclick: Run) -> None:
    ended = lastclick(verb, "--help")

    assert ended.code == 0
    assert f"lastclick {verb}" in ended.out
    assert len(ended.out.split()) > 20


def test_help_names_all_verbs_and_none_that_does_not_exist_yet(lastclick: Run) -> None:
    ended = lastclick("--help")

    assert all(f" {verb} " in ended.out for verb in (*VERBS, "bench"))
    assert " forget " not in ended.out


@pytest.mark.parametrize(
    "words",
    [
        ("no-such-verb",),
        ("recommend",),
        ("worker", "--count", "0"),
        ("worker", "--count", "some"),
        ("replay", "shop", "--no-such-option"),
        ("demo", "--for", "1"),
        ("parity", "--sample", "0"),
        ("archive", "--json"),
        ("archive", "--seconds", "0"),
    ],
)
def test_wrong_usage_ends_with_two(words: tuple[str, ...], lastclick: Run) -> None:
    ended = lastclick(*words)

    assert ended.code == 2
    assert "Usage" in ended.err


@pytest.mark.parametrize(
    "words",
    [("recommend", "anna", "--json"), ("features", "anna"), ("parity", "--json"), ("worker",), ("replay", "shop")],
)
def test_without_servers_the_error_says_how_to_start_them(words: tuple[str, ...], lastclick: Run) -> None:
    ended = lastclick(*words)

    assert ended.code == 1
    assert ended.out == ""
    assert ended.err.startswith("lastclick: no Kafka and no ")
    assert "`lastclick up`" in ended.err


def test_archive_without_kafka_asks_for_no_other_server(lastclick: Run) -> None:
    ended = lastclick("archive", "--once")

    assert ended.code == 1
    assert ended.err.startswith("lastclick: no Kafka runs from ")


def test_feature_values_of_an_archive_are_counted(lastclick: Run, tmp_path: Path) -> None:
    broker = Broker()
    broker.take(Click("e1", "ann", "mug", NOON_MS))
    broker.append("clicks", b"ann", b"{", NOON_MS)
    broker.archive(tmp_path / "archive")

    ended = lastclick("archive-features", "--json")

    assert ended.code == 0
    assert json.loads(ended.out) == {
        "folder": str(tmp_path / "archive"),
        "rows": {"user_features": 1, "item_features": 0},
        "records": {"applied": 1, "refused": 1},
    }
    assert view_path(tmp_path / "archive", "user_features").is_file()


def test_feature_values_without_an_archive_say_how_to_get_one(lastclick: Run, tmp_path: Path) -> None:
    ended = lastclick("archive-features", str(tmp_path / "nowhere"))

    assert ended.code == 1
    assert "nowhere: saw no folder of a topic of events" in ended.err
    assert "`lastclick archive`" in ended.err


def test_status_without_servers_is_one_document_and_a_failure(lastclick: Run) -> None:
    ended = lastclick("status", "--json")

    assert ended.code == 1
    document = json.loads(ended.out)
    assert document["workers"] == []
    assert document["kafka"] is None
    assert {server["state"] for server in document["servers"]} == {"stopped"}


def test_bad_setting_is_named(lastclick: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LASTCLICK_PARTITIONS", "none")

    ended = lastclick("recommend", "anna")

    assert ended.code == 1
    assert ended.err == "lastclick: LASTCLICK_PARTITIONS: saw 'none', expected a value of type int\n"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (("replay", "no-such-source"), "unknown source 'no-such-source'"),
        (("replay", "online-retail"), "no path was given"),
        (("replay", "shop", "--rate", "1", "--speedup", "2"), "both a rate and a speedup"),
    ],
)
def test_replay_that_cannot_start_says_why(
    words: tuple[str, ...], reason: str, lastclick: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cli, "addressed_settings", cli.Settings.from_environment)

    ended = lastclick(*words)

    assert ended.code == 1
    assert reason in ended.err
    assert ended.out == ""


def test_bench_without_the_repository_says_where_benchmarks_are(
    lastclick: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(cli, "REPOSITORY", tmp_path)

    ended = lastclick("bench", "freshness")

    assert ended.code == 1
    assert ended.err == (
        f"lastclick: no tests/benchmarks in {tmp_path}: benchmarks come with the repository, not with the package; "
        "clone it and run `make bench` there\n"
    )


def test_bench_passes_its_words_on() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "streams.cli", "bench", "speed", "--quick"], capture_output=True, text=True, check=False
    )

    assert ended.returncode == 2
    assert "saw speed, expected some of: freshness" in ended.stderr


def test_new_api_key_is_printed_once_beside_a_line_that_opens_for_it(lastclick: Run, tmp_path: Path) -> None:
    ended = lastclick("api-key", "new", "--scope", "read", "--scope", "write", "--name", "shop")
    printed = dict(line.split(maxsplit=1) for line in ended.out.splitlines())
    path = tmp_path / "keys"
    path.write_text(printed["line"])

    key = Keys(path).find(printed["key"])

    assert ended.code == 0
    assert key is not None
    assert (key.name, key.allows("read"), key.allows("write"), key.allows("admin")) == ("shop", True, True, False)
    assert printed["key"] not in printed["line"]


@pytest.mark.parametrize(("option", "value"), [("--scope", "everything"), ("--name", "two words")])
def test_api_key_of_unknown_scope_or_bad_name_is_wrong_usage(option: str, value: str, lastclick: Run) -> None:
    words = {"--scope": "read", "--name": "shop"} | {option: value}
    ended = lastclick("api-key", "new", *(word for pair in words.items() for word in pair))

    assert ended.code == 2
    assert value in ended.err
