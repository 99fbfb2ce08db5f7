"""A user's state, a time and the catalogue -> the user's features; each is declared here once.

The agents serve them, Feast's views are made from their declarations and training computes them with this
function. Served values are those at the time of the user's newest event (``now_ms = state.newest_ms``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from feature_repo import activity, habits, taste
from feature_repo.declarations import Catalogue, Feature, FeatureRow, Group, ItemAttributes, numeric_names
from feature_repo.state import UserState

__all__ = [
    "FEATURES",
    "GROUPS",
    "NUMERIC_NAMES",
    "TEXT_NAMES",
    "Catalogue",
    "Feature",
    "FeatureRow",
    "ItemAttributes",
    "features",
]

Compute = Callable[[UserState, int, Catalogue], Mapping[str, float | str]]

GROUPS: tuple[Group[Compute], ...] = (
    Group(activity.windows, activity.WINDOWS),
    Group(activity.decays, activity.DECAYS),
    Group(activity.recency, activity.RECENCY),
    Group(activity.frequency, activity.FREQUENCY),
    Group(activity.money, activity.MONEY),
    Group(habits.habits, habits.HABITS),
    Group(taste.session, taste.SESSION),
    Group(taste.prices, taste.PRICES),
    Group(taste.tastes, taste.TASTES),
    Group(taste.mood, taste.MOOD),
)
"""Every feature of a user, beside the function that computes it."""

FEATURES: tuple[Feature, ...] = tuple(feature for group in GROUPS for feature in group.features)
NUMERIC_NAMES = numeric_names(FEATURES)
"""Names of the numbers, in the order of `FeatureRow.numbers`; a model's manifest pins it."""
TEXT_NAMES = tuple(feature.name for feature in FEATURES if feature.dtype == "string")


def features(state: UserState, now_ms: int, catalogue: Catalogue) -> FeatureRow:
    """Compute all features of a user at `now_ms` (ms since the epoch).

    Returns
    -------
    FeatureRow
        ``numbers`` is float32 [len(NUMERIC_NAMES)], finite for every state, that of a new user included.
    """
    values: dict[str, float | str] = {}
    for group in GROUPS:
        values.update(group.compute(state, now_ms, catalogue))
    numbers = np.array([values[name] for name in NUMERIC_NAMES], dtype=np.float32)
    return FeatureRow(numbers, {name: str(values[name]) for name in TEXT_NAMES}, NUMERIC_NAMES)
