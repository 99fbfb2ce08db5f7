"""An evaluation of the sequence model on users' sequences to a page."""

from __future__ import annotations

import msgspec

from training.next_item.evaluation import ListFigures, SequencesReport
from training.pages.page import Page, Section, Table
from training.pages.parts import curves_section, settings_section, slowest_section
from training.pages.plots import by_slice
from training.reporting import Curves

_FIGURES = ("hr_5", "hr_10", "hr_20", "ndcg_5", "ndcg_10", "ndcg_20")


def sequences_page(report: SequencesReport, curves: Curves) -> Page:
    """Show what an evaluation on sequences found, and how its model was trained."""
    return Page(
        title=f"Next item: {report.source}",
        summary=(
            f"HR@10 {report.hr_10:.4f}, NDCG@10 {report.ndcg_10:.4f} of {report.users:,} users; all {report.items:,} "
            "items ranked but those that the user has had."
        ),
        sections=(
            _methods(report),
            _history(report),
            slowest_section(
                report.milliseconds,
                "user",
                {
                    part.interactions: (f"{part.users:,}", f"NDCG@10 {part.ndcg_10:.4f}")
                    for part in report.by_interactions
                },
            ),
            curves_section(curves),
            _validation(report),
            _data(report),
            settings_section(report.settings, report.seed),
        ),
    )


def _methods(report: SequencesReport) -> Section:
    rows = [("this model", *_texts(report)), *((name, *_texts(figures)) for name, figures in report.floors.items())]
    return Section("Test", "Each user's last item.", tables=(Table(("", *_heads()), rows),))


def _history(report: SequencesReport) -> Section:
    values = {
        "HR@10": {part.interactions: part.hr_10 for part in report.by_interactions},
        "NDCG@10": {part.interactions: part.ndcg_10 for part in report.by_interactions},
    }
    rows = [(part.interactions, f"{part.users:,}", *_texts(part)) for part in report.by_interactions]
    return Section(
        "By length of the history",
        "Interactions of the user before the item that is tested.",
        plots=(by_slice(values, "Lists of ten", "interactions"),),
        tables=(Table(("interactions", "users", *_heads()), rows),),
    )


def _validation(report: SequencesReport) -> Section:
    rows = [(name, *(f"{figures[one]:.4f}" for one in _FIGURES)) for name, figures in report.validation.items()]
    return Section(
        "Validation",
        f"What decided; neighbours weigh {report.neighbours_weight:g}.",
        tables=(Table(("", *_heads()), rows),),
    )


def _data(report: SequencesReport) -> Section:
    rows = [
        ("file", report.source),
        ("items", f"{report.items:,}"),
        ("sequences trained on", f"{report.sequences:,}"),
        *((reason.replace("_", " "), f"{count:,}") for reason, count in report.left_out.items()),
        ("configuration", report.configuration),
        ("device", report.device),
        ("passes of each member", ", ".join(str(passes) for passes in report.passes)),
        *((f"seconds, {name}", f"{seconds:.1f}") for name, seconds in report.seconds.items()),
    ]
    return Section("Data", tables=(Table(("", ""), rows),))


def _heads() -> tuple[str, ...]:
    return tuple(name.replace("_", "@").upper() for name in _FIGURES)


def _texts(figures: ListFigures | SequencesReport) -> tuple[str, ...]:
    values = msgspec.structs.asdict(figures)
    return tuple(f"{values[name]:.4f}" for name in _FIGURES)
