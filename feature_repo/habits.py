"""A user's counts and last interactions -> when they buy, on how many days in a row, and how much.

Days and hours are whole ones of UTC, the one under way included, as in `feature_repo.activity`.
"""

from __future__ import annotations

import math
from itertools import pairwise

from feature_repo.buckets import DAY_MS, HOUR_MS
from feature_repo.counts import DAYS_KEPT, HOURS_KEPT, SPEND_SCALE
from feature_repo.declarations import Catalogue, Feature
from feature_repo.state import UserState

WEEK_DAYS = 7
LOG_UNITS = "log(1 + units)"
HABITS = (
    Feature("hour_of_day", "Time of the day in UTC, 0 to 24.", "hours"),
    Feature("purchase_days_7d", "Days of the last 7 with a purchase.", "days"),
    Feature("purchase_run_share", "Days of the last 90 with a purchase that followed a day with one.", "share"),
    Feature("purchase_hours_48h", "Hours of the last 48 with a purchase.", "hours"),
    Feature("spend_today", "What was spent on the day under way, less returns.", "currency units"),
    Feature("returns_total", "Lines ever returned.", "events"),
    Feature("log_quantity_mean", "Mean quantity of the last 64 interactions, one for a click.", LOG_UNITS),
    Feature("log_quantity_last", "Quantity of the last interaction, one for a click.", LOG_UNITS),
)


def habits(state: UserState, now_ms: int, catalogue: Catalogue) -> dict[str, float]:
    """Describe the rhythm and the size of what is bought."""
    today, hour = now_ms // DAY_MS, now_ms // HOUR_MS
    days = [counts.index for counts in state.daily if counts.purchases and counts.index > today - DAYS_KEPT]
    runs = sum(day == before + 1 for before, day in pairwise(days))
    quantities = [math.log1p(entry.quantity) for entry in state.history]
    return {
        "hour_of_day": now_ms % DAY_MS / HOUR_MS,
        "purchase_days_7d": sum(day > today - WEEK_DAYS for day in days),
        "purchase_run_share": runs / len(days) if days else 0.0,
        "purchase_hours_48h": sum(counts.purchases > 0 for counts in state.hourly if counts.index > hour - HOURS_KEPT),
        "spend_today": sum(counts.spend for counts in state.daily if counts.index == today) / SPEND_SCALE,
        "returns_total": state.totals.returns,
        "log_quantity_mean": sum(quantities) / len(quantities) if quantities else 0.0,
        "log_quantity_last": quantities[-1] if quantities else 0.0,
    }
