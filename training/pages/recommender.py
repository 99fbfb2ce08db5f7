"""A training of the recommender to a page: its validation part, its gates, and what it was trained on."""

from __future__ import annotations

from typing import Any

from scorer.bundle import Manifest
from scorer.gate_report import GateReport
from training.history_slices import by_length
from training.metrics import precision_recall, reliability
from training.model_card import window_of
from training.pages.page import Page, Section, Table
from training.pages.parts import curves_section, gates_section, settings_section, slowest_section
from training.pages.plots import by_slice, precision_recall_plot, reliability_plot
from training.pages.propensity import bins_table
from training.reporting import Curves
from training.train import Lists, Trained


def recommender_page(
    trained: Trained,
    manifest: Manifest,
    gates: GateReport,
    costs: dict[str, tuple[int, float]],
    curves: Curves,
    settings: dict[str, Any],
) -> Page:
    """Show a training.

    Parameters
    ----------
    trained
        What was trained: its figures are those of the validation part.
    manifest
        Of the bundle that was published.
    gates
        What the gates say of it.
    costs
        Forecasts with a history of each length, and the wall-clock time of one, ms.
    curves
        Of the training.
    settings
        Of the training, ``seed`` among them.
    """
    figures = trained.lists.figures
    refused = ", ".join(gate.name for gate in gates.refused)
    return Page(
        title=f"Recommender {manifest.version}",
        summary=(
            f"Validation: HR@10 {figures.hit_rate:.4f}, NDCG@10 {figures.ndcg:.4f} of {figures.moments:,} lists; "
            f"{f'refused by {refused}' if refused else 'passes all gates'}."
        ),
        sections=(
            gates_section(gates),
            curves_section(curves),
            _history(trained.lists),
            _propensity(trained),
            slowest_section(
                {name: ms for name, (_, ms) in costs.items()},
                "forecast",
                {name: (f"{count:,}", "") for name, (count, _) in costs.items()},
            ),
            Section("Figures", tables=(_metrics(manifest, gates),)),
            _data(manifest),
            settings_section(settings, settings["seed"]),
        ),
    )


def _history(lists: Lists) -> Section:
    slices = by_length(lists.lengths)
    hits = {name: float(lists.hits[inside].mean()) for name, inside in slices.items()}
    gains = {name: float(lists.gains[inside].mean()) for name, inside in slices.items()}
    rows = [
        (name, f"{int(inside.sum()):,}", f"{hits[name]:.4f}", f"{gains[name]:.4f}") for name, inside in slices.items()
    ]
    return Section(
        "By length of the history",
        "Lists of the validation part, by the events of the shopper before them.",
        plots=(by_slice({"HR@10": hits, "NDCG@10": gains}, "Lists of ten", "events before the list"),),
        tables=(Table(("events", "lists", "HR@10", "NDCG@10"), rows),),
    )


def _propensity(trained: Trained) -> Section:
    title = "Calibration, precision and recall"
    forecast, bought = trained.head.forecast, trained.head.bought
    if not len(forecast):
        return Section(title, "Too few forecasts of either outcome to validate on.")
    bins = reliability(forecast, bought)
    return Section(
        title,
        f"Of {len(forecast):,} forecasts of the validation part, by the head that had not seen it.",
        plots=(
            reliability_plot(bins, "bought within 24 hours"),
            precision_recall_plot({"learned": precision_recall(forecast, bought)}, float(bought.mean())),
        ),
        tables=(bins_table(bins),),
    )


def _metrics(manifest: Manifest, gates: GateReport) -> Table:
    return Table(
        ("figure", "value"), [(name, f"{value:g}") for name, value in (manifest.metrics | gates.figures).items()]
    )


def _data(manifest: Manifest) -> Section:
    log = manifest.trained_on
    rows = [
        ("log", log.source),
        ("path", log.path),
        *((name, str(value)) for name, value in sorted(log.options.items())),
        ("window", window_of(log.from_ms, log.until_ms)),
        ("items with a learned part", f"{manifest.items:,}"),
        ("licence", manifest.note),
    ]
    return Section("Data", tables=(Table(("", ""), rows),))
