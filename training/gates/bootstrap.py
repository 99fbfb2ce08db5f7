"""Challenger and champion on the same cases: two figures a case in; their difference, and how sure it is, out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from scorer.gate_report import Gate
from training.gates.limits import Limits

RESAMPLES = 2_000
AT_A_TIME = 100
OVERALL = 0.95
SLICE = 0.99
"""Confidence of a slice's interval: there are a dozen slices, and one refusal by chance would be one too many."""


@dataclass(frozen=True)
class Interval:
    """Mean of the differences, and the bounds that `confidence` of the resamples keep to."""

    mean: float
    low: float
    high: float
    confidence: float

    def __str__(self) -> str:
        return f"{self.mean:+.4f} ({100 * self.confidence:g} % interval {self.low:+.4f} to {self.high:+.4f})"


def paired_bootstrap(
    differences: NDArray[np.float64], owners: NDArray[np.int64], confidence: float, seed: int = 0
) -> Interval:
    """Bootstrap the mean of paired differences; resampled by owner, since cases of one owner are alike.

    Parameters
    ----------
    differences
        float64 [Q], challenger less champion, one a case.
    owners
        int64 [Q], whose case it is: the user of a list.
    confidence
        Share of the resampled means between the bounds, 0 to 1.
    seed
        Of the resampling.
    """
    _, places = np.unique(owners, return_inverse=True)
    sums = np.bincount(places, weights=differences)  # [U]
    counts = np.bincount(places).astype(np.float64)  # [U]
    random = np.random.default_rng(seed)
    means = []
    for _ in range(RESAMPLES // AT_A_TIME):
        drawn = random.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=AT_A_TIME)  # [A, U]
        means.append((drawn @ sums) / (drawn @ counts))
    low, high = np.quantile(np.concatenate(means), [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(differences.mean()), float(low), float(high), confidence)


def beats_or_equals(
    name: str,
    challenger: NDArray[np.float64],
    champion: NDArray[np.float64],
    owners: NDArray[np.int64],
    limits: Limits,
    what: str,
) -> Gate:
    """Gate of the whole: not worse than the champion by more than `limits.equal`, nor by more than chance explains.

    Parameters
    ----------
    challenger, champion
        float64 [Q], figures of the same cases; more is better.
    owners
        int64 [Q], whose case it is.
    what
        The figure and its cases, in words.
    """
    interval = paired_bootstrap(challenger - champion, owners, OVERALL)
    least = -limits.equal * abs(float(champion.mean()))
    return Gate(
        name,
        interval.mean >= least and interval.high >= 0.0,
        f"{what} {challenger.mean():.4f} against {champion.mean():.4f}: {interval}",
        f"a difference of at least {least:+.4f}, and an interval that reaches 0",
    )


def not_worse(
    name: str,
    challenger: NDArray[np.float64],
    champion: NDArray[np.float64],
    owners: NDArray[np.int64],
    limits: Limits,
    what: str,
) -> Gate:
    """Gate of a slice: not worse than the champion by more than chance explains; arguments as `beats_or_equals`."""
    if len(challenger) < limits.fewest_in_slice:
        return Gate(name, True, f"{len(challenger)} {what}: too few to judge", f"{limits.fewest_in_slice} to judge")
    interval = paired_bootstrap(challenger - champion, owners, SLICE)
    return Gate(
        name,
        interval.high >= 0.0,
        f"{len(challenger)} {what}, {challenger.mean():.4f} against {champion.mean():.4f}: {interval}",
        "an interval that reaches 0",
    )
