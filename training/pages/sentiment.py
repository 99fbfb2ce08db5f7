"""A sentiment model's bundle to a page: labelled texts it has not learned from, its gates, how it was trained."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scorer.bundle import Manifest
from scorer.gate_report import GateReport
from scorer.sentiment import LABELS, Sentiment
from training.metrics import precision_recall, reliability
from training.pages.page import Page, Section, Table
from training.pages.parts import curves_section, gates_section, settings_section, slowest_section
from training.pages.plots import by_slice, precision_recall_plot, reliability_plot
from training.pages.propensity import bins_table
from training.reporting import Curves
from training.sentiment_model import Facts

WORDS = (0, 10, 30, 60, 100)
"""Least words of each slice of the texts; the last has no end."""


@dataclass(frozen=True)
class Scored:
    """N labelled texts as a bundle scores them.

    Parameters
    ----------
    probabilities
        Of the moods, float32 [N, 3], in the order of `scorer.sentiment.LABELS`.
    moods
        The true ones, int64 [N].
    slices
        Of the texts by their words, bool [N] each.
    milliseconds
        Wall-clock time of a text by slice, ms.
    """

    probabilities: NDArray[np.float32]
    moods: NDArray[np.int64]
    slices: dict[str, NDArray[np.bool_]]
    milliseconds: dict[str, float]


def score(model: Sentiment, texts: list[str], moods: NDArray[np.int64]) -> Scored:
    """Score texts, slice by slice: the time of each is told apart."""
    words = np.array([len(text.split()) for text in texts])
    probabilities = np.zeros((len(texts), len(LABELS)), dtype=np.float32)
    slices, milliseconds = {}, {}
    for least, after in zip(WORDS, (*WORDS[1:], None), strict=True):
        inside = (words >= least) & (words < after if after else True)
        if not inside.any():
            continue
        name = f"{least}-{after - 1}" if after else f"{least}+"
        started = time.perf_counter()
        probabilities[inside] = model.score([texts[place] for place in np.flatnonzero(inside)]).probabilities
        milliseconds[name] = round(1000 * (time.perf_counter() - started) / int(inside.sum()), 4)
        slices[name] = inside
    return Scored(probabilities, moods, slices, milliseconds)


def sentiment_page(scored: Scored, manifest: Manifest, gates: GateReport, facts: Facts, curves: Curves) -> Page:
    """Show a sentiment model; `facts` are those of its weights."""
    right = scored.probabilities.argmax(axis=1) == scored.moods
    count = len(right)
    return Page(
        title=f"Sentiment {manifest.version}",
        summary=f"Names the mood of {right.mean():.1%} of {count:,} texts that training did not see.",
        sections=(
            gates_section(gates),
            curves_section(curves),
            _calibration(scored),
            _lengths(scored, right),
            slowest_section(
                scored.milliseconds,
                "text",
                {
                    name: (f"{int(inside.sum()):,}", f"accuracy {right[inside].mean():.4f}")
                    for name, inside in scored.slices.items()
                },
            ),
            Section("Figures", tables=(Table(("figure", "value"), _figures(manifest, gates)),)),
            Section("Data", facts.data),
            settings_section(facts.settings, int(facts.settings["seed"]) if "seed" in facts.settings else None),
        ),
    )


def _calibration(scored: Scored) -> Section:
    positive = scored.probabilities[:, LABELS.index("positive")]
    happened = scored.moods == LABELS.index("positive")
    bins = reliability(positive, happened)
    curves = {
        label: precision_recall(scored.probabilities[:, place], scored.moods == place)
        for place, label in enumerate(LABELS)
        if (scored.moods == place).any()
    }
    return Section(
        "Calibration, precision and recall",
        "Calibration of the positive mood; precision and recall of each mood against the others.",
        plots=(reliability_plot(bins, "positive"), precision_recall_plot(curves, float(happened.mean()))),
        tables=(bins_table(bins),),
    )


def _lengths(scored: Scored, right: NDArray[np.bool_]) -> Section:
    accuracy: dict[str, float | None] = {name: float(right[inside].mean()) for name, inside in scored.slices.items()}
    return Section("By length of the text", plots=(by_slice({"accuracy": accuracy}, "Accuracy", "words"),))


def _figures(manifest: Manifest, gates: GateReport) -> list[tuple[str, ...]]:
    return [(name, f"{value:g}") for name, value in (manifest.metrics | gates.figures).items()]
