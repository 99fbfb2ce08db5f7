"""What moves everyone at once: the day's attention to each product, by popularity, trend, season and novelty."""

from __future__ import annotations

import numpy as np

from feature_repo.sources.shop.catalogue import DAY_MS, Catalogue, Floats, Ints
from feature_repo.sources.shop.words import CATEGORIES

TRENDS_PER_DAY = 4
TREND_SIZE = 2.2
"""Mean rise of a trending product's log attention."""
TREND_HALF_LIFE_DAYS = 3.0
SEASON_SIZE = 0.5
SEASON_DAYS = 75.0
NOVELTY_SIZE = 1.0
"""Rise of a product's log attention on the day it is published."""
NOVELTY_DAYS = 7.0
VISITS_BY_HOUR = (
    4, 2, 1, 1, 1, 2, 5, 9, 12, 13, 14, 15, 17, 15, 13, 13, 14, 16, 20, 26, 30, 28, 20, 10,
)  # fmt: skip
"""Visits by hour of the day, in any unit."""
WEEKEND_FACTOR = 1.18


class Market:
    """Attention to products and the rhythm of visits, day by day; `next_day` moves it on.

    Parameters
    ----------
    catalogue
        The products.
    rng
        Source of the trends.
    start_ms
        Midnight of the first day, milliseconds since the epoch.
    """

    def __init__(self, catalogue: Catalogue, rng: np.random.Generator, start_ms: int) -> None:
        self._catalogue = catalogue
        self._rng = rng
        self._day = -1
        self._start_ms = start_ms
        self._trend: Floats = np.zeros(len(catalogue.items))
        self._phase = rng.uniform(0, 2 * np.pi, size=len(CATEGORIES))
        hours = np.array(VISITS_BY_HOUR, dtype=np.float64)
        self._hours_cumulated = np.concatenate([[0.0], np.cumsum(hours / hours.sum())])
        self.attention: Floats = catalogue.log_popularity
        """[N] log attention of the day to each product."""
        self.season: Floats = np.zeros(len(CATEGORIES))
        """[categories] log attention of the day to each category."""
        self.trending: Floats = np.zeros(len(catalogue.items))
        """[N] the part of the attention that is a passing trend, zero or more."""

    def next_day(self) -> int:
        """Move on by a day and return its midnight, in milliseconds since the epoch."""
        self._day += 1
        midnight_ms = self._start_ms + self._day * DAY_MS
        catalogue = self._catalogue
        self._trend *= 0.5 ** (1 / TREND_HALF_LIFE_DAYS)
        struck = self._rng.integers(len(self._trend), size=TRENDS_PER_DAY)
        self._trend[struck] += TREND_SIZE * np.minimum(self._rng.exponential(size=TRENDS_PER_DAY), 1.5)
        self.season = SEASON_SIZE * np.sin(2 * np.pi * self._day / SEASON_DAYS + self._phase)
        age_days = np.maximum(midnight_ms - catalogue.published_at_ms, 0) / DAY_MS
        novelty = NOVELTY_SIZE * np.exp(-age_days / NOVELTY_DAYS)
        self.trending = self._trend + 0.0
        self.attention = catalogue.log_popularity + self._trend + novelty
        return midnight_ms

    def visits(self, midnight_ms: int, activity: Floats) -> tuple[Ints, Ints]:
        """Draw the day's unprompted visits.

        Parameters
        ----------
        midnight_ms
            The day.
        activity
            [S] mean visits a day of each shopper.

        Returns
        -------
        tuple
            [V] start in milliseconds since the epoch, rising, and [V] index of the shopper.
        """
        weekend = (midnight_ms // DAY_MS + 3) % 7 >= 5
        counts = self._rng.poisson(activity * (WEEKEND_FACTOR if weekend else 1.0))
        shopper = np.repeat(np.arange(len(activity)), counts)
        share = self._rng.random(len(shopper))
        hours = np.interp(share, self._hours_cumulated, np.arange(len(self._hours_cumulated)))
        starts = midnight_ms + (hours * 3_600_000).astype(np.int64)
        order = np.argsort(starts, kind="stable")
        return starts[order], shopper[order].astype(np.int64)
