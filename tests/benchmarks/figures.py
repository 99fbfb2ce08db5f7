"""What a benchmark says: numbers beside their floors, tables and samples in; ratios and quantiles out."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import ArrayLike


class Figure(msgspec.Struct, frozen=True):
    """A number and its floor: the same work done by the least that could do it, measured in the same run."""

    name: str
    value: float
    unit: str
    floor: float | None = None
    floor_is: str = ""
    lower_is_better: bool = True
    target: float | None = None
    """What the number itself should reach; None where none was set."""

    checked: bool = True
    """Whether its ratio is steady enough to be held against the baseline."""

    @property
    def ratio(self) -> float | None:
        """Value over floor; None without a floor."""
        return None if not self.floor else self.value / self.floor

    @property
    def on_target(self) -> bool | None:
        """Whether the target is reached; None without one."""
        if self.target is None:
            return None
        return self.value <= self.target if self.lower_is_better else self.value >= self.target


class Table(msgspec.Struct, frozen=True):
    """Rows of a table as they are printed."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str | float | int | None, ...]]


class Samples(msgspec.Struct, frozen=True):
    """Measured values for a histogram; those of one ``plot`` share it."""

    plot: str
    label: str
    unit: str
    values: list[float]


class Result(msgspec.Struct):
    """All that one benchmark found, and the load it was found under."""

    name: str
    workload: str
    figures: list[Figure] = []
    tables: list[Table] = []
    samples: list[Samples] = []
    notes: list[str] = []
    load_after: float = 0.0
    """Load average of the last minute when it ended: other programs on the machine, and its own."""


def quantile(values: ArrayLike, share: float) -> float:
    """The smallest value that this share of the values does not exceed: one that was seen, none in between."""
    return float(np.quantile(np.asarray(values, np.float64), share, method="inverted_cdf"))


def spread(values: Sequence[float]) -> tuple[float, float, float, float]:
    """Median, 90 %, 99 % and the largest."""
    return quantile(values, 0.5), quantile(values, 0.9), quantile(values, 0.99), max(values)
