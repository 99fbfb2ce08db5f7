"""A user's counts -> windowed and decayed activity, recency, frequency and money.

Windows end at `now_ms` and are made of whole hours (up to a day) or whole days of UTC (beyond), the one
under way included; only the last hour is exact, read from the history. Decays halve by whole hours or days
in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from feature_repo.buckets import DAY_MS, HOUR_MS
from feature_repo.counts import DAYS_KEPT, HOURS_KEPT, SPEND_SCALE, Counts
from feature_repo.declarations import Catalogue, Feature
from feature_repo.history import ADD, CLICK
from feature_repo.state import UserState

NEVER_HOURS = 24 * 365
"""What never happened, or longer ago than a year, counts as a year ago."""

COUNT = "events"
WINDOWS = (
    Feature("clicks_1h", "Clicks in the last 60 minutes, among the last 64 interactions.", COUNT),
    Feature("adds_1h", "Items put into the cart in the last 60 minutes, among the last 64 interactions.", COUNT),
    Feature("clicks_24h", "Clicks in the last 24 hours.", COUNT),
    Feature("adds_24h", "Items put into the cart in the last 24 hours.", COUNT),
    Feature("removes_24h", "Items taken out of the cart in the last 24 hours.", COUNT),
    Feature("purchases_24h", "Lines bought in the last 24 hours.", COUNT),
    Feature("impressions_24h", "Lists shown in the last 24 hours.", COUNT),
    Feature("clicks_7d", "Clicks in the last 7 days.", COUNT),
    Feature("adds_7d", "Items put into the cart in the last 7 days.", COUNT),
    Feature("purchases_7d", "Lines bought in the last 7 days.", COUNT),
    Feature("impressions_7d", "Lists shown in the last 7 days.", COUNT),
    Feature("clicks_30d", "Clicks in the last 30 days.", COUNT),
    Feature("adds_30d", "Items put into the cart in the last 30 days.", COUNT),
    Feature("purchases_30d", "Lines bought in the last 30 days.", COUNT),
    Feature("clicks_90d", "Clicks in the last 90 days.", COUNT),
    Feature("purchases_90d", "Lines bought in the last 90 days.", COUNT),
)
DECAYS = (
    Feature("clicks_decayed_1d", "Clicks of two days, each halved for every day since.", COUNT),
    Feature("clicks_decayed_7d", "Clicks of 90 days, each halved for every 7 days since.", COUNT),
    Feature("clicks_decayed_30d", "Clicks of 90 days, each halved for every 30 days since.", COUNT),
    Feature("adds_decayed_1d", "Items put into the cart in two days, each halved for every day since.", COUNT),
    Feature("adds_decayed_7d", "Items put into the cart in 90 days, each halved for every 7 days since.", COUNT),
    Feature("purchases_decayed_7d", "Lines bought in 90 days, each halved for every 7 days since.", COUNT),
    Feature("purchases_decayed_30d", "Lines bought in 90 days, each halved for every 30 days since.", COUNT),
)
LOG_HOURS = "log(1 + hours)"
RECENCY = (
    Feature("log_hours_since_event", "Time since the newest event; a year when there was none.", LOG_HOURS),
    Feature("log_hours_since_click", "Time since the last click; a year when there was none.", LOG_HOURS),
    Feature("log_hours_since_add", "Time since the last item put into the cart, at most a year.", LOG_HOURS),
    Feature("log_hours_since_purchase", "Time since the last purchase, at most a year.", LOG_HOURS),
    Feature("log_days_known", "Time since the first event.", "log(1 + days)"),
)
FREQUENCY = (
    Feature("active_days_90d", "Days of the last 90 with any event.", "days"),
    Feature("purchase_days_90d", "Days of the last 90 with a purchase.", "days"),
)
MONEY = (
    Feature("spend_total", "All that was ever spent, less returns.", "currency units"),
    Feature("spend_90d", "What was spent in the last 90 days, less returns.", "currency units"),
    Feature("mean_line_value", "What was ever spent, less returns, per line bought.", "currency units"),
    Feature("return_rate", "Returns per line bought, at most 1.", "share"),
)

_BY_HOUR_1D = tuple(0.5 ** (age / 24) for age in range(HOURS_KEPT))
_BY_DAY_7D = tuple(0.5 ** (age / 7) for age in range(DAYS_KEPT))
_BY_DAY_30D = tuple(0.5 ** (age / 30) for age in range(DAYS_KEPT))


def windows(state: UserState, now_ms: int, catalogue: Catalogue) -> dict[str, float]:
    """Count what happened in the windows that end at `now_ms`."""
    last_hour = [entry.action for entry in state.history if entry.ms > now_ms - HOUR_MS]
    (day,) = _sums(state.hourly, now_ms // HOUR_MS, (24,))
    week, month, quarter = _sums(state.daily, now_ms // DAY_MS, (7, 30, 90))
    return {
        "clicks_1h": last_hour.count(CLICK),
        "adds_1h": last_hour.count(ADD),
        "clicks_24h": day.clicks,
        "adds_24h": day.adds,
        "removes_24h": day.removes,
        "purchases_24h": day.purchases,
        "impressions_24h": day.impressions,
        "clicks_7d": week.clicks,
        "adds_7d": week.adds,
        "purchases_7d": week.purchases,
        "impressions_7d": week.impressions,
        "clicks_30d": month.clicks,
        "adds_30d": month.adds,
        "purchases_30d": month.purchases,
        "clicks_90d": quarter.clicks,
        "purchases_90d": quarter.purchases,
    }


def decays(state: UserState, now_ms: int, catalogue: Catalogue) -> dict[str, float]:
    """Count what happened, the older the less."""
    clicks_1d = adds_1d = clicks_7d = clicks_30d = adds_7d = purchases_7d = purchases_30d = 0.0
    hour, day = now_ms // HOUR_MS, now_ms // DAY_MS
    for counts in state.hourly:
        age = max(0, hour - counts.index)
        if age < HOURS_KEPT:
            clicks_1d += counts.clicks * _BY_HOUR_1D[age]
            adds_1d += counts.adds * _BY_HOUR_1D[age]
    for counts in state.daily:
        age = max(0, day - counts.index)
        if age < DAYS_KEPT:
            by_week, by_month = _BY_DAY_7D[age], _BY_DAY_30D[age]
            clicks_7d += counts.clicks * by_week
            clicks_30d += counts.clicks * by_month
            adds_7d += counts.adds * by_week
            purchases_7d += counts.purchases * by_week
            purchases_30d += counts.purchases * by_month
    return {
        "clicks_decayed_1d": clicks_1d,
        "clicks_decayed_7d": clicks_7d,
        "clicks_decayed_30d": clicks_30d,
        "adds_decayed_1d": adds_1d,
        "adds_decayed_7d": adds_7d,
        "purchases_decayed_7d": purchases_7d,
        "purchases_decayed_30d": purchases_30d,
    }


def recency(state: UserState, now_ms: int, catalogue: Catalogue) -> dict[str, float]:
    """Measure how long ago things last happened."""
    return {
        "log_hours_since_event": _log_hours(state.newest_ms, now_ms),
        "log_hours_since_click": _log_hours(state.last_click_ms, now_ms),
        "log_hours_since_add": _log_hours(state.last_add_ms, now_ms),
        "log_hours_since_purchase": _log_hours(state.last_purchase_ms, now_ms),
        "log_days_known": math.log1p(max(0, now_ms - state.first_ms) / DAY_MS) if state.first_ms else 0.0,
    }


def frequency(state: UserState, now_ms: int, catalogue: Catalogue) -> dict[str, float]:
    """Count the days on which something happened."""
    days = [counts for counts in state.daily if counts.index > now_ms // DAY_MS - DAYS_KEPT]
    return {
        "active_days_90d": len(days),
        "purchase_days_90d": sum(counts.purchases > 0 for counts in days),
    }


def money(state: UserState, now_ms: int, catalogue: Catalogue) -> dict[str, float]:
    """Sum what was spent, and what came back."""
    totals = state.totals
    oldest = now_ms // DAY_MS - DAYS_KEPT
    spent = sum(counts.spend for counts in state.daily if counts.index > oldest)
    lines = max(1, totals.purchases)
    return {
        "spend_total": totals.spend / SPEND_SCALE,
        "spend_90d": spent / SPEND_SCALE,
        "mean_line_value": max(0, totals.spend) / SPEND_SCALE / lines,
        "return_rate": min(1.0, totals.returns / lines),
    }


def _sums(buckets: list[Counts], now: int, lengths: Iterable[int]) -> list[Counts]:
    """Sum the buckets of the last `lengths` hours or days, shortest first, in one pass from the newest."""
    sums = []
    left = len(buckets) - 1
    clicks = adds = removes = purchases = impressions = 0
    for length in lengths:
        while left >= 0 and buckets[left].index > now - length:
            counts = buckets[left]
            clicks += counts.clicks
            adds += counts.adds
            removes += counts.removes
            purchases += counts.purchases
            impressions += counts.impressions
            left -= 1
        sums.append(Counts(now, clicks, adds=adds, removes=removes, purchases=purchases, impressions=impressions))
    return sums


def _log_hours(last_ms: int, now_ms: int) -> float:
    hours = max(0, now_ms - last_ms) / HOUR_MS if last_ms else NEVER_HOURS
    return math.log1p(min(NEVER_HOURS, hours))
