"""The sequence model on a public protocol, beside simple rules, trained from scratch.

In: files as `training.next_item.sequences` reads them. Out: figures on moments that neither training nor validation
saw: full ranking over all items.
"""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from scorer.sessions import DeviceError
from training.next_item import floors
from training.next_item.export import Exported, export
from training.next_item.figures import list_figures, ranks, session_figures
from training.next_item.mixture import Mixture, train_mixture
from training.next_item.sequences import Split
from training.next_item.settings import VERSION, NextItemSettings
from training.reporting import Progress, Record, unrecorded

INTERACTIONS = (1, 4, 6, 10, 20)
"""Least interactions of each slice of the users; the last has no end."""

_TIMED = 64  # moments in a batch that is timed


@dataclass(frozen=True)
class Conditions:
    """What differs from run to run, beside the settings.

    Parameters
    ----------
    seed
        Of everything drawn at random.
    budget_s
        Wall-clock time for training, seconds.
    threads
        Of torch on the CPU; 0 leaves its own choice.
    device
        ``cpu``, ``cuda``, or ``auto`` for a GPU where there is one.
    checkpoints
        Folder that is written after each pass, and resumed from; None for none.
    graph
        File to export what is tested to, as ONNX; None for none.
    """

    seed: int
    budget_s: float
    threads: int
    device: str
    checkpoints: Path | None
    graph: Path | None


class ListFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Hit rate and NDCG of lists of 5, 10 and 20."""

    hr_5: float
    hr_10: float
    hr_20: float
    ndcg_5: float
    ndcg_10: float
    ndcg_20: float


class SessionFigures(msgspec.Struct, frozen=True, kw_only=True):
    """P@k, the share of targets in lists of k, and mean reciprocal rank within them."""

    p_5: float
    p_10: float
    p_20: float
    mrr_5: float
    mrr_10: float
    mrr_20: float


class ListSlice(ListFigures, frozen=True, kw_only=True):
    """Figures of the users with so many interactions to read: ``5-9``, or ``20+``."""

    interactions: str
    users: int


class SessionSlice(SessionFigures, frozen=True, kw_only=True):
    """Figures of the prefixes of so many items: ``5-9``, or ``20+``."""

    interactions: str
    prefixes: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """How figures came about.

    Parameters
    ----------
    source
        The files read.
    items, sequences
        Items ranked, and sequences trained on.
    left_out
        Counts of what can't be tested or hit, by reason.
    seed
        Of everything drawn at random.
    configuration
        Version of the default settings, with ``changed`` behind it where they are not the defaults.
    settings
        All settings.
    passes
        Passes over the sequences that each member made.
    neighbours_weight
        Chosen on validation.
    validation
        Figures on validation moments, of the ``mixture``, and of the ``transformer`` and the ``neighbours`` alone.
    device
        What was trained on.
    seconds
        Wall-clock time of training, and of all.
    milliseconds
        Wall-clock time of scoring all items for a user or a prefix, by the interactions read, ms: the better of two
        batches of 64 at most.
    exported
        The graph that was written; None where none was wanted.
    """

    source: str
    items: int
    sequences: int
    left_out: dict[str, int]
    seed: int
    configuration: str
    settings: dict[str, Any]
    passes: list[int]
    neighbours_weight: float
    validation: dict[str, dict[str, float]]
    device: str
    seconds: dict[str, float]
    milliseconds: dict[str, float]
    exported: Exported | None


class SequencesReport(Report, frozen=True, kw_only=True):
    """Figures of leave-one-out: of all users tested, by interactions, and of the floors."""

    hr_5: float
    hr_10: float
    hr_20: float
    ndcg_5: float
    ndcg_10: float
    ndcg_20: float
    users: int
    by_interactions: list[ListSlice]
    floors: dict[str, ListFigures]


class SessionsReport(Report, frozen=True, kw_only=True):
    """Figures of test prefixes: of all, by length, and of the floors."""

    p_5: float
    p_10: float
    p_20: float
    mrr_5: float
    mrr_10: float
    mrr_20: float
    prefixes: int
    by_interactions: list[SessionSlice]
    floors: dict[str, SessionFigures]


def evaluate_users(
    split: Split,
    conditions: Conditions,
    progress: Progress,
    settings: NextItemSettings | None = None,
    record: Record = unrecorded,
) -> SequencesReport:
    """Train on users' sequences and measure their last items.

    Parameters
    ----------
    split
        Of `training.next_item.sequences.split_users`.
    conditions
        Under which to train.
    progress
        Is told of each pass.
    settings
        How to train; the defaults where none are given.
    record
        Is given every pass of every member.

    Raises
    ------
    DeviceError
        When the device is not there.
    """
    run, found, floor_ranks = _evaluate(split, conditions, progress, settings or NextItemSettings(), record)
    return SequencesReport(
        **(run | _rounded(list_figures(found))),
        users=len(found),
        by_interactions=[
            ListSlice(interactions=name, users=int(chosen.sum()), **_rounded(list_figures(found[chosen])))
            for name, chosen in _slices(split)
        ],
        floors={name: ListFigures(**_rounded(list_figures(ranked))) for name, ranked in floor_ranks.items()},
    )


def evaluate_prefixes(
    split: Split,
    conditions: Conditions,
    progress: Progress,
    settings: NextItemSettings | None = None,
    record: Record = unrecorded,
) -> SessionsReport:
    """Train on sessions and measure what follows test prefixes; parameters and errors as of `evaluate_users`."""
    run, found, floor_ranks = _evaluate(split, conditions, progress, settings or NextItemSettings(), record)
    return SessionsReport(
        **(run | _rounded(session_figures(found))),
        prefixes=len(found),
        by_interactions=[
            SessionSlice(interactions=name, prefixes=int(chosen.sum()), **_rounded(session_figures(found[chosen])))
            for name, chosen in _slices(split)
        ],
        floors={name: SessionFigures(**_rounded(session_figures(ranked))) for name, ranked in floor_ranks.items()},
    )


def open_device(name: str) -> torch.device:
    """Give the device of that name: ``cpu``, ``cuda``, or ``auto`` for a GPU where there is one.

    Raises
    ------
    DeviceError
        When it is not there.
    """
    if name not in ("auto", "cpu", "cuda"):
        raise DeviceError(f"device: saw {name!r}, expected auto, cpu or cuda")
    if name == "cuda" and not torch.cuda.is_available():
        raise DeviceError("device: saw cuda, but PyTorch finds no GPU here; expected one, or --device cpu")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def _evaluate(
    split: Split, conditions: Conditions, progress: Progress, settings: NextItemSettings, record: Record
) -> tuple[dict[str, Any], NDArray[np.int64], dict[str, NDArray[np.int64]]]:
    started = time.monotonic()
    device = open_device(conditions.device)
    if conditions.threads:
        torch.set_num_threads(conditions.threads)
    progress(f"{split.source}: {len(split.training):,} sequences, {split.items - 1:,} items, {len(split.test):,} tests")
    floor_ranks = _floors(split)
    trained = train_mixture(
        split,
        settings,
        seed=conditions.seed,
        device=device,
        budget_s=conditions.budget_s,
        folder=conditions.checkpoints,
        progress=progress,
        record=record,
    )
    found = ranks(split.test, trained.mixture.score, mask_seen=split.mask_seen)
    exported = export(trained.mixture, split.test, conditions.graph) if conditions.graph else None
    run = {
        "source": split.source,
        "items": split.items - 1,
        "sequences": len(split.training),
        "left_out": split.left_out,
        "seed": conditions.seed,
        "configuration": VERSION if settings == NextItemSettings() else f"{VERSION} changed",
        "settings": asdict(settings),
        "passes": trained.passes,
        "neighbours_weight": trained.mixture.weight,
        "validation": {name: _rounded(figures) for name, figures in trained.validation.items()},
        "device": device.type,
        "seconds": {"training": round(trained.seconds, 1), "all": round(time.monotonic() - started, 1)},
        "milliseconds": {name: _milliseconds(trained.mixture, split, chosen) for name, chosen in _slices(split)},
        "exported": exported,
    }
    return run, found, floor_ranks


def _floors(split: Split) -> dict[str, NDArray[np.int64]]:
    """Rank by popularity as published, counts from training items alone; other rules know all before the test."""
    scorers = {"markov": floors.markov(split.known, split.items), "item_knn": floors.item_knn(split.known, split.items)}
    popular = floors.popularity(split.training, split.items)
    return {
        "popularity": ranks(split.test, popular, mask_seen=split.mask_seen, ties_won=True),
        **{name: ranks(split.test, scorer, mask_seen=split.mask_seen) for name, scorer in scorers.items()},
    }


def _slices(split: Split) -> list[tuple[str, NDArray[np.bool_]]]:
    """Name the slices of the test moments by the length of their histories; those without a moment are left out."""
    lengths = split.test.histories.lengths
    slices = []
    for least, after in zip(INTERACTIONS, (*INTERACTIONS[1:], None), strict=True):
        chosen = (lengths >= least) & (lengths < after if after else True)
        if chosen.any():
            slices.append((f"{least}-{after - 1}" if after else f"{least}+", chosen))
    return slices


def _milliseconds(mixture: Mixture, split: Split, chosen: NDArray[np.bool_]) -> float:
    """Time the scores of some test moments: ms a moment, the better of two batches."""
    numbers = np.flatnonzero(chosen)[:_TIMED]
    best_s = float("inf")
    for _ in range(2):
        started = time.perf_counter()
        mixture.score(split.test.histories, numbers)
        best_s = min(best_s, time.perf_counter() - started)
    return round(1000 * best_s / len(numbers), 4)


def _rounded(figures: dict[str, float]) -> dict[str, float]:
    return {name: round(value, 4) for name, value in figures.items()}
