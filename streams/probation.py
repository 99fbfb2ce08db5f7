"""A new recommender on probation: what its batches look like in; word that it must go back, and why, out.

It is held against the batches before the swap, on the same worker. A batch costs a few array operations, and a
judgement comes with every `JUDGED_EVERY` scores.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from statistics import median

import numpy as np
import numpy.typing as npt

from streams.catalogue import ItemVectors

BINS = 10
FEWEST_SCORES = 500
"""Scores on either side below which nothing is judged: the index of two samples of one population is then below .1."""

JUDGED_EVERY = 500
MOST_SCORES = 5_000
"""Newest scores that are looked at: a worker under load makes more in a minute than a verdict needs."""

SMOOTHING = 0.5
"""Counted into every bin, so that an empty one does not make the index infinite."""


@dataclass(frozen=True)
class Limits:
    """Past which of these a new recommender goes back.

    Parameters
    ----------
    watch_s
        Seconds of the watch; it goes on until there are enough scores for a verdict.
    psi
        Population stability index of the propensities against those before the swap.
    fallback_share
        By how much the share of lists of popular items may rise, 0 to 1.
    slower
        How many times as long as before the swap the median scoring call may take.
    slow_s
        Median seconds of a scoring call that are fast enough whatever it was before.
    """

    watch_s: float = 600.0
    psi: float = 1.0
    fallback_share: float = 0.2
    slower: float = 4.0
    slow_s: float = 0.02


@dataclass(frozen=True)
class _Scored:
    """One batch: propensities float32 [B], lists that fell back on what is popular, and seconds of the scoring."""

    propensity: npt.NDArray[np.float32]
    fallbacks: int
    seconds: float


class Health:
    """What the newest batches of a recommender looked like, up to `MOST_SCORES` scores of them."""

    def __init__(self) -> None:
        self._batches: deque[_Scored] = deque()
        self.scores = 0
        self.seen = 0
        """Scores ever added."""

    def add(self, propensity: npt.NDArray[np.float32], fallbacks: int, seconds: float) -> None:
        """Take in one batch: propensities float32 [B], fallback lists of these users, seconds of the scoring call."""
        self._batches.append(_Scored(propensity, fallbacks, seconds))
        self.scores += len(propensity)
        self.seen += len(propensity)
        while self.scores - len(self._batches[0].propensity) >= MOST_SCORES:
            self.scores -= len(self._batches.popleft().propensity)

    def propensities(self) -> npt.NDArray[np.float32]:
        """All propensities, float32 [N]."""
        return np.concatenate([batch.propensity for batch in self._batches])

    def fallback_share(self) -> float:
        """Share of lists that fell back on what is popular."""
        return sum(batch.fallbacks for batch in self._batches) / self.scores

    def seconds(self) -> float:
        """Median seconds of a scoring call."""
        return median(batch.seconds for batch in self._batches)


class Probation:
    """Holds the batches of a new recommender against those `before` the swap; `former` is what it can go back to."""

    def __init__(self, before: Health, limits: Limits, former: ItemVectors) -> None:
        self.before, self.former, self._limits = before, former, limits
        self._until_s = time.monotonic() + limits.watch_s
        self._judged_at = 0

    def verdict(self, health: Health) -> str | None:
        """Say why the recommender must go back; None while nothing speaks against it."""
        if health.seen - self._judged_at < JUDGED_EVERY or min(health.scores, self.before.scores) < FEWEST_SCORES:
            return None
        self._judged_at = health.seen
        limits = self._limits
        index = stability_index(self.before.propensities(), health.propensities())
        if index > limits.psi:
            return f"distribution of propensity: a stability index of {index:.2f}, at most {limits.psi:g} is accepted"
        share, most = health.fallback_share(), self.before.fallback_share() + limits.fallback_share
        if share > most:
            return f"fallback lists: a share of {share:.2f}, at most {most:.2f} is accepted"
        seconds, longest = health.seconds(), max(limits.slow_s, limits.slower * self.before.seconds())
        if seconds > longest:
            return f"scoring latency: {1000 * seconds:.1f} ms a batch, at most {1000 * longest:.1f} ms is accepted"
        return None

    def is_over(self, health: Health) -> bool:
        """Whether the recommender has been watched for long enough."""
        return time.monotonic() >= self._until_s and health.seen >= FEWEST_SCORES


def stability_index(before: npt.NDArray[np.float32], after: npt.NDArray[np.float32]) -> float:
    """Population stability index (PSI) of two samples, float32 [N] and [M]: 0 when they are alike.

    The sum over the deciles of `before` of (q - p) * ln(q / p), p and q being the shares of either sample in one.
    """
    edges = np.unique(np.quantile(before, np.linspace(0, 1, BINS + 1)[1:-1]))
    shares = []
    for sample in (before, after):
        counts = np.bincount(np.searchsorted(edges, sample), minlength=len(edges) + 1) + SMOOTHING
        shares.append(counts / counts.sum())
    p, q = shares
    return float(((q - p) * np.log(q / p)).sum())
