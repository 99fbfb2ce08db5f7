"""The regression check: the committed ratios and those of a run in, the ones that got worse out.

Ratios of a figure to its floor in the same run move far less between machines than the figures do.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from tests.benchmarks.figures import Figure, Result

PATH = Path(__file__).with_name("baseline.json")


class BaselineMissing(LookupError):
    """There is nothing to hold ratios against: says how to make it."""


class Ratio(msgspec.Struct, frozen=True):
    """A figure's ratio to its floor."""

    ratio: float
    lower_is_better: bool


class Baseline(msgspec.Struct):
    """Ratios by the figure's name; a ratio may be worse by this share before the check fails."""

    tolerance: float = 0.4
    ratios: dict[str, Ratio] = {}


def read_baseline(path: Path = PATH) -> Baseline:
    """The committed baseline.

    Raises
    ------
    BaselineMissing
        When none was committed.
    """
    if not path.exists():
        raise BaselineMissing(f"no baseline at {path}: make one with `lastclick bench --write-baseline`, and commit it")
    return msgspec.json.decode(path.read_bytes(), type=Baseline)


def write_baseline(results: Sequence[Result], path: Path = PATH) -> None:
    """Take the ratios of these results over; those of figures that were not measured stay."""
    baseline = read_baseline(path) if path.exists() else Baseline()
    for figure in _checked(results):
        if figure.ratio is not None:
            baseline.ratios[figure.name] = Ratio(round(figure.ratio, 3), figure.lower_is_better)
    baseline.ratios = dict(sorted(baseline.ratios.items()))
    path.write_bytes(msgspec.json.format(msgspec.json.encode(baseline), indent=2) + b"\n")


def worse(results: Sequence[Result], baseline: Baseline) -> list[str]:
    """Say which ratios are worse than the baseline by more than its tolerance."""
    found = []
    for figure in _checked(results):
        known = baseline.ratios.get(figure.name)
        if known is None or figure.ratio is None:
            continue
        much = 1 + baseline.tolerance
        limit = known.ratio * much if known.lower_is_better else known.ratio / much
        if figure.ratio > limit if known.lower_is_better else figure.ratio < limit:
            side = "at most" if known.lower_is_better else "at least"
            found.append(
                f"{figure.name}: saw {figure.ratio:.2f} times {figure.floor_is}, expected {side} {limit:.2f} "
                f"(baseline {known.ratio:.2f}, tolerance {baseline.tolerance:.0%})"
            )
    return found


def _checked(results: Sequence[Result]) -> list[Figure]:
    return [figure for result in results for figure in result.figures if figure.checked]
