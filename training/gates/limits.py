"""What a bundle must keep to, to be released."""

from __future__ import annotations

from dataclasses import dataclass

from scorer.gate_report import Gate


class GateError(Exception):
    """The gates cannot be tried: says what is missing and what to give."""


@dataclass(frozen=True)
class Limits:
    """Budgets, and how much is needed for a judgement.

    Parameters
    ----------
    megabytes
        Of all files of the bundle, 10^6 bytes each.
    milliseconds
        Of scoring on one core: a user in batches of 64 with a full history and 12,000 items, or a review of the golden
        texts' length.
    equal
        Share of the champion's figure by which the challenger may be worse and still be its equal.
    fewest
        Lists, forecasts or texts without which there is no judgement.
    fewest_in_slice
        Likewise, of a slice.
    big_category
        Share of the lists from which on a category is a slice of its own.
    """

    megabytes: float
    milliseconds: float
    equal: float = 0.02
    fewest: int = 200
    fewest_in_slice: int = 50
    big_category: float = 0.05


RECOMMENDER = Limits(megabytes=512, milliseconds=0.5)
"""A million items of 64 numbers are 256 MB."""

SENTIMENT = Limits(megabytes=256, milliseconds=5.0)


def within(name: str, seen: float, most: float, unit: str) -> Gate:
    """Gate of a budget."""
    return Gate(name, seen <= most, f"{seen:.3g} {unit}", f"at most {most:.3g} {unit}")
