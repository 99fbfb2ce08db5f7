"""Reports: results as JSON that can be read back, as a page, and as plots."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.benchmarks.figures import Figure, Result, Samples, Table
from tests.benchmarks.machine import Machine, describe_machine
from tests.benchmarks.report import Report, markdown, number, write_report

MACHINE = Machine("2026-11-22 11:00 UTC", "abc", 2, "a processor", 23.6, (0.5, 1.0, 2.0), "3.11.7", {"numpy": "2"})


@pytest.fixture
def report() -> Report:
    result = Result(
        "freshness",
        "a shop",
        [
            Figure("p50", 45.0, "ms", 30.0, "bare flow", target=30.0),
            Figure("rate", 5000.0, "events/s", lower_is_better=False, target=4000.0),
        ],
        [Table("Stages", ("stage", "ms"), [("decode", 1.25), ("nothing", None)])],
        [Samples("p", "flow", "ms", [1.0, 2.0, 300.0]), Samples("p", "bare", "ms", [1.0])],
        ["A note."],
    )
    return Report("lastclick bench freshness", True, 7, MACHINE, [result])


def test_a_page_shows_each_figure_beside_its_floor_and_target(report: Report) -> None:
    page = markdown(report)

    assert "| p50 | 45.0 ms | 30.0 ms (bare flow) | 1.50 | at most 30.0: missed |" in page
    assert "| rate | 5,000 events/s |  |  | at least 4,000: reached |" in page
    assert "**Stages**" in page
    assert "| decode | 1.25 |\n| nothing |  |" in page
    assert "A note." in page


def test_a_page_says_what_was_run_and_on_what(report: Report) -> None:
    page = markdown(report)

    assert "`lastclick bench freshness` (quick: short windows), seed 7" in page
    assert "commit abc. 2 cores (a processor), 24 GB, load average before: 0.5, 1.0, 2.0" in page


def test_results_read_back_are_the_same(report: Report, tmp_path: Path) -> None:
    write_report(report, tmp_path)

    read = msgspec.json.decode((tmp_path / "results.json").read_bytes(), type=Report)
    assert msgspec.to_builtins(read) == msgspec.to_builtins(report)


def test_samples_of_one_plot_share_a_drawing_that_the_page_shows(report: Report, tmp_path: Path) -> None:
    write_report(report, tmp_path)

    assert [path.name for path in tmp_path.glob("*.svg")] == ["p.svg"]
    assert "![p.svg](p.svg)" in (tmp_path / "results.md").read_text()


@pytest.mark.parametrize(
    ("value", "text"),
    [(3, "3"), (12345.6, "12,346"), (123.4, "123"), (12.34, "12.3"), (1.234, "1.23"), (0.01, "0.01")],
)
def test_numbers_show_the_digits_that_count(value: float, text: str) -> None:
    assert number(value) == text


def test_the_machine_describes_itself() -> None:
    machine = describe_machine()

    assert machine.cores >= 1
    assert "msgspec" in machine.packages
