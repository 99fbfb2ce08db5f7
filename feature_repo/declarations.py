"""What a feature is, and what a row of them looks like; no feature is declared here.

A feature is declared once, beside the function that computes it; Feast's views, the models' inputs and the
agents all read that declaration.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class ItemAttributes:
    """What the catalogue knows of an item; `price` is in currency units."""

    category: str | None
    brand: str | None
    price: float | None
    title: str


class Catalogue(Protocol):
    """Where features look items up."""

    def attributes(self, item_id: str) -> ItemAttributes | None:
        """Return what is known of an item, or None when it is not in the catalogue."""
        ...


@dataclass(frozen=True, slots=True)
class Feature:
    """One feature's name, type, unit and meaning."""

    name: str
    description: str
    unit: str
    dtype: Literal["float32", "string"] = "float32"


@dataclass(frozen=True, slots=True)
class Group(Generic[S]):
    """Features computed together: `compute` returns one value for each of `features`, in their order."""

    compute: S
    features: tuple[Feature, ...]


@dataclass(frozen=True, slots=True, eq=False)
class FeatureRow:
    """Values of one user or item.

    Parameters
    ----------
    numbers : ndarray
        float32 [len(names)], all finite.
    texts : dict
        String features by name.
    names : tuple of str
        Names of `numbers`, in order.
    """

    numbers: npt.NDArray[np.float32]
    texts: dict[str, str]
    names: tuple[str, ...]

    def as_dict(self) -> dict[str, float | str]:
        """Return every value by name; numbers are what float32 holds."""
        return {**dict(zip(self.names, self.numbers.tolist(), strict=True)), **self.texts}


def numeric_names(features: Iterable[Feature]) -> tuple[str, ...]:
    """Names of the float32 features, in order."""
    return tuple(feature.name for feature in features if feature.dtype == "float32")
