"""An event -> the integers it adds to the totals and, within the horizon, to its hour and its day.

Sums of integers are the same for every order of arrival; money and scores are counted in small whole units
for that.
"""

from __future__ import annotations

import msgspec

from feature_repo import buckets
from feature_repo.buckets import DAY_MS, HOUR_MS
from feature_repo.events import Cart, Click, Event, Impression, Review

HOURS_KEPT = 48
DAYS_KEPT = 90
SPEND_SCALE = 10_000
"""Money is counted in 1/10000 of a currency unit."""
MAX_LINE = 10**14
"""No line counts for more than this (1/10000 of a currency unit), so that sums stay within 64 bits."""
SCORE_SCALE = 1000
"""Sentiments are counted in 1/1000."""


class Counts(msgspec.Struct, array_like=True, gc=False):
    """Events of one hour or day, `index` hours or days after the epoch.

    `spend` is net of returns, in 1/10000 of a currency unit.
    """

    index: int
    clicks: int = 0
    adds: int = 0
    removes: int = 0
    purchases: int = 0
    returns: int = 0
    reviews: int = 0
    impressions: int = 0
    spend: int = 0


class Totals(msgspec.Struct, array_like=True, gc=False):
    """Everything ever counted; units and spend are net of returns, spend in 1/10000 of a currency unit."""

    clicks: int = 0
    adds: int = 0
    removes: int = 0
    purchases: int = 0
    returns: int = 0
    reviews: int = 0
    impressions: int = 0
    spend: int = 0
    units: int = 0
    stars_sum: int = 0
    stars_count: int = 0
    score_milli_sum: int = 0
    score_count: int = 0


def count(event: Event, newest_ms: int, totals: Totals, hourly: list[Counts], daily: list[Counts]) -> None:
    """Count `event` in place, in the totals and in the hour and day that it fell in.

    `newest_ms` is the time of the user's newest event, this one included: what is 48 hours or 90 days older
    counts in the totals only.
    """
    ms = event.occurred_at_ms
    _add(event, totals)
    hour = buckets.locate(hourly, ms // HOUR_MS, newest_ms // HOUR_MS, HOURS_KEPT, Counts)
    if hour is not None:
        _add(event, hour)
    day = buckets.locate(daily, ms // DAY_MS, newest_ms // DAY_MS, DAYS_KEPT, Counts)
    if day is not None:
        _add(event, day)


def score_milli_of(review: Review, sentiment: float | None) -> int | None:
    """How much a review likes its item, -1000 to 1000: its text's `sentiment`, else its stars, else None."""
    if sentiment is not None:
        return round(max(-1.0, min(1.0, sentiment)) * SCORE_SCALE)
    return None if review.stars is None else (review.stars - 3) * SCORE_SCALE // 2


def count_review(review: Review, score_milli: int | None, totals: Totals) -> None:
    """Count what a review said, in place: its stars and its score, where there are any."""
    if review.stars is not None:
        totals.stars_sum += review.stars
        totals.stars_count += 1
    if score_milli is not None:
        totals.score_milli_sum += score_milli
        totals.score_count += 1


def _add(event: Event, to: Counts | Totals) -> None:
    if type(event) is Click:
        to.clicks += 1
    elif type(event) is Cart:
        if event.action == "add":
            to.adds += 1
        elif event.action == "remove":
            to.removes += 1
        else:
            _add_purchase(event, to)
    elif type(event) is Review:
        to.reviews += 1
    elif type(event) is Impression:
        to.impressions += 1


def _add_purchase(event: Cart, to: Counts | Totals) -> None:
    line = round(event.quantity * event.unit_price * SPEND_SCALE)
    to.spend += max(-MAX_LINE, min(MAX_LINE, line))
    if event.quantity > 0:
        to.purchases += 1
    else:
        to.returns += 1
    if type(to) is Totals:
        to.units += event.quantity
