from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from deploy.local import ServerStatus, Status
from feature_repo.archive.feature_values import ValuesReport
from streams import console
from streams.answers import Place, Recommendation
from streams.archive_report import Archived, TopicCounts
from streams.comparison import FeatureParity
from streams.parity import ParityReport
from streams.replay import Replayed
from streams.run_files import ApiRun, WorkerRun


@pytest.fixture
def printed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Console]:
    """A wide terminal that remembers what is printed."""
    recording = Console(width=200, record=True, quiet=False)
    monkeypatch.setattr(console, "stdout", recording)
    return recording


def a_list(caused_by: str | None) -> Recommendation:
    places = [Place("i1", "Tent [2 person]", 1.25, "because you looked at Tent"), Place("i2", "Cup", 0.5, "popular")]
    return Recommendation("anna", "home", "l1", caused_by, 1_700_000_000_000, 1_700_000_000_020, "v1", places)


def test_list_shows_titles_scores_reasons_and_cause(printed: Console) -> None:
    console.print_recommendation(a_list("e1"))

    text = printed.export_text()
    assert "anna, home: list l1, caused by event e1 of 2023-11-14 22:13:20 UTC" in text
    assert "by model v1" in text
    assert "Tent [2 person]" in text
    assert "1.250" in text
    assert "because you looked at Tent" in text


def test_list_of_a_stranger_says_that_it_is_everybodys(printed: Console) -> None:
    console.print_recommendation(a_list(None))

    assert "anna has no list yet" in printed.export_text()


def test_features_show_numbers_texts_and_what_is_missing(printed: Console) -> None:
    console.print_features("anna", {"clicks_24h": 3.0, "top_category": "tents", "spend_total": None})

    text = printed.export_text()
    assert "clicks_24h" in text
    assert "│ 3 " in text
    assert "tents" in text
    assert "None" in text


def test_replay_shows_what_was_sent_and_skipped(printed: Console) -> None:
    done = Replayed("shop", items=5, skipped_before=7, sent=Counter(clicks=1234), seconds=2.0)
    done.skipped_rows = Counter({"no customer": 3})

    console.print_replayed(done)

    text = printed.export_text()
    assert "Replayed shop in 2.0 s" in text
    assert "1,234" in text
    assert "no customer" in text


def test_archived_topics_are_shown_with_what_was_deleted_before(printed: Console) -> None:
    topics = {"clicks": TopicCounts(records=1200, files=3, lag=1), "scores": TopicCounts(records=34, missing=5678)}

    console.print_archived(Archived("/home/archive", topics, seconds=2.0))

    text = printed.export_text()
    assert "Archived to /home/archive" in text
    assert "1,234 records in 2.0 s" in text
    assert "5,678" in text


def test_archiver_shows_its_rate_and_lag_while_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    recording = Console(width=200, record=True, force_terminal=True)
    monkeypatch.setattr(console, "stderr", recording)
    done = Archived("/home/archive", {"clicks": TopicCounts()})

    with console.archive_progress(quiet=False) as progress:
        progress(done)
        done.topics["clicks"], done.seconds = TopicCounts(records=3000, files=2, lag=7), 2.0
        progress(done)

    assert "3,000 records in 2 files, 1,500 records/s, lag 7" in recording.export_text()


def test_feature_values_are_shown_by_view_and_records_by_outcome(printed: Console) -> None:
    records = Counter(applied=9, refused=2)

    console.print_feature_values(ValuesReport("/home/archive", {"user_features": 8765}, records))

    text = printed.export_text()
    assert "rows of user_features" in text
    assert "8,765" in text
    assert "records: refused" in text


def test_status_shows_servers_and_workers(printed: Console) -> None:
    seen = Status(Path("/home"), (ServerStatus("kafka", "Kafka", "4.1", "answering", True, "127.0.0.1:9092", 42),))

    console.print_status(seen, [WorkerRun(0, 77, 9100, 1, {"recommender": "v9"})], {}, ApiRun("127.0.0.1:8800", 78, 1))
    console.print_status(seen, [], {}, None)

    text = printed.export_text()
    assert "127.0.0.1:9092" in text
    assert "recommender v9" in text
    assert "127.0.0.1:8800" in text
    assert "start some with `lastclick worker`" in text


def test_json_is_one_document_on_stdout(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_json({"name": "Zoë", "value": None, "number": 0.5})

    out, err = capsys.readouterr()
    assert json.loads(out) == {"name": "Zoë", "value": None, "number": 0.5}
    assert err == ""


def test_progress_is_silent_when_json_is_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    with console.replay_progress(10, quiet=True) as progress:
        progress(Replayed("shop"))
    with console.archive_progress(quiet=True) as archived:
        archived(Archived("/home/archive", {}))
    with console.counting_progress("replaying", "records", quiet=True) as counted:
        counted(10)

    assert capsys.readouterr() == ("", "")


def test_parity_names_what_differs_and_for_whom(printed: Console) -> None:
    equal, differing = FeatureParity("clicks_24h", compared=3), FeatureParity("top_brand", compared=3)
    differing.note("anna", None, "Kiln")
    differing.note("[bob]", "Forest", "Kiln")
    numbers = FeatureParity("spend_total", compared=3)
    for user_id, served in (("anna", 1.0), ("[bob]", 4.5), ("carl", 2.0)):
        numbers.note(user_id, served, 0.5)

    console.print_parity(ParityReport(7, {"compared": 3, "moving": 1}, 90, 20, 1.5, [equal, differing, numbers]))

    text = printed.export_text()
    assert "20 events of 4 users (seed 7), of 90 records read in 1.5 s" in text
    assert "anna: served None, recomputed Kiln" in text
    assert "[bob]: served 4.5, recomputed 0.5" in text
    assert "differing features: top_brand, spend_total" in text
