"""An evaluation of propensity to a page."""

from __future__ import annotations

from training.metrics import ReliabilityBin
from training.pages.page import Page, Section, Table, number
from training.pages.parts import curves_section, settings_section, slowest_section
from training.pages.plots import by_slice, precision_recall_plot, reliability_plot
from training.propensity_report import LEARNED, LIGHTGBM, Figures, PropensityReport, Slice
from training.reporting import Curves


def propensity_page(report: PropensityReport, curves: Curves) -> Page:
    """Show what an evaluation of propensity found, and how its model was trained."""
    learned = report.methods[LEARNED]
    return Page(
        title=f"Purchase within 24 hours: {report.source}",
        summary=(
            f"AUC {number(learned.auc)}, average precision {number(learned.average_precision)}, calibration error "
            f"{learned.calibration_error:.4f} on {report.examples['test']:,} test examples, of which "
            f"{report.base_rate:.1%} were followed by a purchase."
        ),
        sections=(
            _methods(report),
            Section(
                "Calibration, precision and recall",
                "On the test part, which neither training nor validation saw. A perfectly calibrated forecast would "
                f"show an error of {report.calibration_noise:.4f} by chance, and more than "
                f"{report.calibration_noise_95:.4f} in one case of twenty.",
                plots=(
                    reliability_plot(report.reliability, "bought within 24 hours"),
                    precision_recall_plot(report.precision_recall, report.base_rate),
                ),
                tables=(bins_table(report.reliability),),
            ),
            _history(report),
            slowest_section(
                report.milliseconds,
                "forecast",
                {
                    part.name: (f"{part.examples:,}", f"average precision {number(part.learned.average_precision)}")
                    for part in report.history
                },
            ),
            Section("Users and items", tables=(_slices("slice", report.slices),)),
            Section("Stability", "The test part by time.", tables=(_slices("from", report.periods),)),
            curves_section(curves),
            _data(report),
            settings_section(report.settings, report.seed),
        ),
    )


def bins_table(bins: list[ReliabilityBin]) -> Table:
    """Give the bins of a calibration."""
    rows = [(f"{one.forecast:.4f}", f"{one.frequency:.4f}", f"{one.share:.1%}") for one in bins]
    return Table(("mean forecast", "how often it happened", "share of the examples"), rows)


def _methods(report: PropensityReport) -> Section:
    rows = [(method, *_texts(figures)) for method, figures in report.methods.items()]
    apart = [
        (figure, f"{one.mean:+.4f}", f"{one.low:+.4f} to {one.high:+.4f}") for figure, one in report.differences.items()
    ]
    return Section(
        "Methods",
        tables=(
            Table(("method", "AUC", "average precision", "calibration error"), rows),
            Table(("learned less LightGBM", "mean", "95 % interval"), apart),
        ),
    )


def _history(report: PropensityReport) -> Section:
    values = {
        LEARNED: {part.name: part.learned.average_precision for part in report.history},
        LIGHTGBM: {part.name: part.lightgbm.average_precision for part in report.history},
    }
    return Section(
        "By length of the history",
        "Events of the shopper before the moment.",
        plots=(by_slice(values, "Average precision", "events before the moment"),),
        tables=(_slices("events", report.history),),
    )


def _slices(head: str, slices: list[Slice]) -> Table:
    rows = [
        (part.name, f"{part.examples:,}", f"{part.base_rate:.1%}", *_texts(part.learned), *_texts(part.lightgbm))
        for part in slices
    ]
    return Table((head, "examples", "bought", "AUC", "AP", "ECE", "LightGBM: AUC", "AP", "ECE"), rows)


def _texts(figures: Figures) -> tuple[str, str, str]:
    return number(figures.auc), number(figures.average_precision), f"{figures.calibration_error:.4f}"


def _data(report: PropensityReport) -> Section:
    rows = [
        ("log", report.source),
        ("share of its users", f"{report.user_share:.1%}"),
        *((f"{part} examples", f"{count:,}") for part, count in report.examples.items()),
        ("validation from", report.validation_from),
        ("test from", report.test_from),
        ("log until", report.log_until),
        ("bundle", report.version),
        *((f"seconds, {name}", f"{seconds:.1f}") for name, seconds in report.seconds.items()),
    ]
    return Section("Data", tables=(Table(("", ""), rows),))
