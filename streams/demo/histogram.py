"""A Prometheus histogram in; percentiles out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Histogram:
    """Observations counted in buckets.

    ``bounds`` are the upper bounds, rising, the last one infinite; ``counts`` are the observations up to each of
    them, so they never fall.
    """

    bounds: tuple[float, ...] = ()
    counts: tuple[float, ...] = ()

    @property
    def total(self) -> int:
        """Number of observations."""
        return int(self.counts[-1]) if self.counts else 0

    def plus(self, other: Histogram) -> Histogram:
        """Both together; they have the same bounds, unless one is empty."""
        return self._with(other, 1)

    def minus(self, earlier: Histogram) -> Histogram:
        """What came after an earlier state of the same histogram."""
        return self._with(earlier, -1)

    def percentile(self, percent: float) -> float | None:
        """Value below which ``percent`` % of the observations lie, interpolated inside its bucket.

        None without observations. What lies beyond the last finite bound counts as that bound.
        """
        if not self.total:
            return None
        rank = percent / 100 * self.counts[-1]
        below, lower = 0.0, 0.0
        for bound, count in zip(self.bounds, self.counts, strict=True):
            if count >= rank and count > below:
                if bound == float("inf"):
                    return lower
                return lower + (bound - lower) * (rank - below) / (count - below)
            below, lower = count, bound
        return lower

    def _with(self, other: Histogram, sign: int) -> Histogram:
        if not other.counts:
            return self
        if not self.counts:
            return Histogram(other.bounds, tuple(sign * count for count in other.counts))
        counts = zip(self.counts, other.counts, strict=True)
        return Histogram(self.bounds, tuple(mine + sign * theirs for mine, theirs in counts))


def together(histograms: Iterable[Histogram]) -> Histogram:
    """All observations of several histograms with the same bounds."""
    sum_of_all = Histogram()
    for histogram in histograms:
        sum_of_all = sum_of_all.plus(histogram)
    return sum_of_all
