"""What a user buys again and again, when it is due: a shopper in; items bought before, those due now first, out.

An item's interval is the median time between this user's purchases of it. Bought once only, it takes the interval of
its category: the median time between their purchases of anything in it.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from statistics import median

import numpy as np

from feature_repo.buckets import DAY_MS
from feature_repo.history import PURCHASE
from feature_repo.state import UserState
from streams.lists import ListRules
from streams.shopper import Filters, Shopper
from streams.store import RecommendedItem

ONE_PURCHASE_MS = DAY_MS
"""Purchases closer together than this are one: nobody runs out of it in a day."""
EARLY, LATE = 0.8, 4.0
"""Intervals since the last purchase from which on an item is due, and after which the habit has ended."""


def again_list(shopper: Shopper, rules: ListRules, filters: Filters) -> tuple[RecommendedItem, ...]:
    """Rank what is due to be bought again.

    Returns
    -------
    tuple of RecommendedItem
        The score is the smaller of the time since the last purchase over the interval and its inverse, 1 for what is
        due this moment and 0.25 or more for all, times what the shop's rules make of it.
    """
    catalogue, now_ms = shopper.catalogue, shopper.now_ms
    bought_at = purchase_times(shopper.state)
    allowed = shopper.showable(filters)
    allowed[catalogue.table.rows(shopper.state.cart.units)] = False
    by_category: defaultdict[str, set[int]] = defaultdict(set)
    for item_id, times in bought_at.items():
        item = catalogue.item(item_id)
        if item is not None and item.category is not None:
            by_category[item.category].update(times)
    scores = np.zeros(len(allowed), np.float32)
    reasons: dict[int, str] = {}
    for item_id, times in bought_at.items():
        item, row = catalogue.item(item_id), catalogue.table.row(item_id)
        if item is None or not allowed[row]:
            continue
        interval_ms, whose = _interval_ms(times), ""
        if interval_ms is None and item.category is not None:
            interval_ms, whose = _interval_ms(sorted(by_category[item.category])), f"{item.category} "
        if interval_ms is None:
            continue
        elapsed = (now_ms - times[-1]) / interval_ms
        if EARLY <= elapsed <= LATE:
            scores[row] = min(elapsed, 1 / elapsed) * shopper.factor[row]
            ago, usually = _days(now_ms - times[-1]), _days(interval_ms)
            reasons[row] = f"you bought {item.title} {ago} ago, {'and ' if whose else ''}{whose}usually every {usually}"
    everything = ListRules(rules.size, category_share=1.0)
    return shopper.arrange(scores, scores > 0, everything, lambda rows: [reasons[row] for row in rows])


def purchase_times(state: UserState) -> dict[str, list[int]]:
    """When each item was bought that was not returned, oldest first, ms since the epoch; as the cart log has it."""
    times: defaultdict[str, list[int]] = defaultdict(list)
    for entry in state.cart_log:
        if entry.action == PURCHASE and entry.quantity > 0 and entry.item_id in state.cart.bought:
            times[entry.item_id].append(entry.ms)
    return dict(times)


def _interval_ms(times: list[int]) -> float | None:
    """Median time between purchases, or None of a single one; what is within a day of the one before is part of it."""
    apart = times[:1]
    for ms in times[1:]:
        if ms - apart[-1] >= ONE_PURCHASE_MS:
            apart.append(ms)
    gaps = [after - before for before, after in pairwise(apart)]
    return median(gaps) if gaps else None


def _days(ms: float) -> str:
    days = round(ms / DAY_MS)
    return f"{days} day{'' if days == 1 else 's'}"
