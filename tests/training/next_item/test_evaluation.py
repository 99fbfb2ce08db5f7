from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import Console

from scorer.sessions import DeviceError
from tests.training.next_item.chains import NO_LIMIT_S, SMALL, ring_split, rings
from training.next_item import reports
from training.next_item.evaluation import (
    Conditions,
    SequencesReport,
    SessionsReport,
    evaluate_prefixes,
    evaluate_users,
    open_device,
)
from training.next_item.sequences import split_sessions
from training.next_item.settings import VERSION, NextItemSettings

CONDITIONS = Conditions(seed=3, budget_s=NO_LIMIT_S, threads=0, device="cpu", checkpoints=None, graph=None)


@pytest.fixture(scope="module")
def told() -> list[str]:
    return []


@pytest.fixture(scope="module")
def users(told: list[str]) -> SequencesReport:
    return evaluate_users(ring_split(), CONDITIONS, told.append, SMALL)


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> SessionsReport:
    folder = tmp_path_factory.mktemp("sessions")
    train, test = folder / "train.txt", folder / "test.tsv"
    train.write_text("".join(f"{' '.join(map(str, walk))}\n" for walk in rings(200)))
    test.write_text("".join(f"{' '.join(map(str, walk[:-1]))}\t{walk[-1]}\n" for walk in rings(50, seed=1)))
    return evaluate_prefixes(split_sessions(train, test), CONDITIONS, lambda message: None, SMALL)


def test_model_is_far_above_popularity_and_says_how_it_was_made(users: SequencesReport) -> None:
    assert users.hr_5 > 0.8
    assert users.hr_5 > users.floors["popularity"].hr_5 + 0.4
    assert set(users.floors) == {"popularity", "markov", "item_knn"}
    assert (users.seed, users.configuration, users.device) == (3, f"{VERSION} changed", "cpu")
    assert users.settings["width"] == SMALL.width
    assert 0 < users.seconds["training"] <= users.seconds["all"]


def test_slices_hold_every_user_once(users: SequencesReport) -> None:
    assert sum(part.users for part in users.by_interactions) == users.users == 150
    mean = sum(part.users * part.hr_10 for part in users.by_interactions) / users.users
    assert mean == pytest.approx(users.hr_10, abs=1e-3)
    assert users.by_interactions[0].interactions == "1-3"


def test_progress_names_the_passes_and_the_time_left(users: SequencesReport, told: list[str]) -> None:
    assert any("150 tests" in line for line in told)
    assert any("member-1-fit: pass 1/" in line and "s left" in line for line in told)


def test_sessions_are_measured_by_precision_and_reciprocal_rank(sessions: SessionsReport) -> None:
    assert sessions.prefixes == 50
    assert sessions.mrr_20 > 0.5
    assert sessions.p_20 >= sessions.p_5 > 0.8
    assert sessions.p_5 > sessions.floors["popularity"].p_5 + 0.4


def test_reports_are_printed(
    users: SequencesReport,
    sessions: SessionsReport,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(reports, "Console", lambda: Console(width=200))
    reports.print_sequences(users)
    reports.print_sessions(sessions)
    shown = capsys.readouterr().out
    assert f"{users.ndcg_10:.4f}" in shown
    assert f"{sessions.mrr_20:.4f}" in shown
    assert "NDCG@10" in shown
    assert "item_knn" in shown


def test_defaults_are_named_by_their_version() -> None:
    report = evaluate_users(ring_split(20), replace(CONDITIONS, budget_s=1.0), lambda message: None)
    assert report.configuration == VERSION
    assert report.settings["width"] == NextItemSettings().width


@pytest.mark.parametrize("name", ["tpu", "CPU", ""])
def test_device_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(DeviceError, match="expected auto, cpu or cuda"):
        open_device(name)


def test_missing_gpu_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(DeviceError, match="finds no GPU here"):
        open_device("cuda")
    assert open_device("auto").type == "cpu"
