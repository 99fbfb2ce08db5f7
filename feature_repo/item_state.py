"""An item's state and an event -> its counts with the event in them, once; and its features and popularity.

A state counts the events of one item that came from one source partition; `merge` adds partitions up.
Repeats are told apart by offset only: producers' retries never get here, since the user's state has dropped
them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec
import numpy as np

from feature_repo import offsets
from feature_repo.buckets import DAY_MS, HOUR_MS, latest, locate
from feature_repo.declarations import Feature, FeatureRow, numeric_names
from feature_repo.events import Cart, Click, Event, Item
from feature_repo.offsets import Offsets, Position
from feature_repo.state import Outcome, StateDamagedError, StateVersionError

ITEM_STATE_VERSION = 1
HOURS_KEPT = 48
DAYS_KEPT = 30
POPULARITY_HALF_LIFE_DAYS = 7
_BY_DAY: tuple[float, ...] = tuple(0.5 ** (age / POPULARITY_HALF_LIFE_DAYS) for age in range(DAYS_KEPT))
HEAT_HALF_LIFE_HOURS = 6
_BY_HOUR: tuple[float, ...] = tuple(0.5 ** (age / HEAT_HALF_LIFE_HOURS) for age in range(HOURS_KEPT))
STEADY_HEAT = sum(_BY_HOUR) / (24 * sum(_BY_DAY))
"""Heat of an item per unit of popularity, if the same happens to it in every hour."""
CLICK_WEIGHT, ADD_WEIGHT, PURCHASE_WEIGHT = 1.0, 2.0, 3.0

COUNT = "events"
ITEM_FEATURES = (
    Feature("clicks_24h", "Clicks in the last 24 hours.", COUNT),
    Feature("adds_24h", "Times put into a cart in the last 24 hours.", COUNT),
    Feature("purchases_24h", "Lines sold in the last 24 hours.", COUNT),
    Feature("clicks_7d", "Clicks in the last 7 days.", COUNT),
    Feature("adds_7d", "Times put into a cart in the last 7 days.", COUNT),
    Feature("purchases_7d", "Lines sold in the last 7 days.", COUNT),
    Feature("units_7d", "Units sold less returned in the last 7 days.", "units"),
    Feature("clicks_30d", "Clicks in the last 30 days.", COUNT),
    Feature("purchases_30d", "Lines sold in the last 30 days.", COUNT),
    Feature("purchases_total", "Lines ever sold.", COUNT),
    Feature("trend", "Popularity of the last day over that of a mean day of the last 7; 1 is steady.", "ratio"),
    Feature("popularity", "Clicks + 2 adds + 3 purchases of 30 days, halved for every 7 days since.", "score"),
    Feature("conversion_30d", "Lines sold per click and line sold in the last 30 days.", "share"),
    Feature("price", "Price now; 0 when unknown.", "currency units"),
    Feature("age_days", "Time since it was published.", "days"),
    Feature("in_stock", "1 when in stock, 0 when not.", "flag"),
    Feature("title", "Title; empty when unknown.", "text", "string"),
    Feature("category", "Category; empty when unknown.", "text", "string"),
    Feature("brand", "Brand; empty when unknown.", "text", "string"),
)
ITEM_NUMERIC_NAMES = numeric_names(ITEM_FEATURES)


class ItemCounts(msgspec.Struct, array_like=True, gc=False):
    """Events of one hour or day, `index` hours or days after the epoch; units are net of returns."""

    index: int
    clicks: int = 0
    adds: int = 0
    purchases: int = 0
    units: int = 0


class ItemState(msgspec.Struct, array_like=True):
    """What happened to one item; ``ItemState()`` is an item that nothing has happened to."""

    offsets: Offsets = {}
    newest_ms: int = 0
    totals: ItemCounts = msgspec.field(default_factory=lambda: ItemCounts(0))
    hourly: list[ItemCounts] = []
    daily: list[ItemCounts] = []

    def logical_clock(self) -> int:
        """Count the records that can have been taken in; never goes backwards."""
        return offsets.logical_clock(self.offsets)


def update_item(state: ItemState, event: Event, position: Position) -> Outcome:
    """Count `event` in `state`, in place, unless its position was taken in before.

    Clicks, items put into a cart, purchases and returns count; other events only move the offset.
    """
    if not offsets.advance(state.offsets, position):
        return Outcome.DUPLICATE
    ms = event.occurred_at_ms
    change = _change(event)
    if change is not None:
        state.newest_ms = newest_ms = max(state.newest_ms, ms)
        _add(state.totals, change)
        hour = locate(state.hourly, ms // HOUR_MS, newest_ms // HOUR_MS, HOURS_KEPT, ItemCounts)
        day = locate(state.daily, ms // DAY_MS, newest_ms // DAY_MS, DAYS_KEPT, ItemCounts)
        for counts in (hour, day):
            if counts is not None:
                _add(counts, change)
    return Outcome.APPLIED


def merge(states: Iterable[ItemState]) -> ItemState:
    """Add the states of several source partitions up, leaving them alone; of none, an empty state."""
    parts = list(states)
    merged = ItemState(newest_ms=max((part.newest_ms for part in parts), default=0))
    newest_hour, newest_day = merged.newest_ms // HOUR_MS, merged.newest_ms // DAY_MS
    for part in parts:
        for source, offset in part.offsets.items():
            merged.offsets[source] = max(offset, merged.offsets.get(source, -1))
        _add(merged.totals, part.totals)
        _add_all(merged.hourly, part.hourly, newest_hour, HOURS_KEPT)
        _add_all(merged.daily, part.daily, newest_day, DAYS_KEPT)
    return merged


def popularity(state: ItemState, now_ms: int) -> float:
    """Clicks + 2 adds + 3 purchases, halved for every 7 days since, by whole days of UTC up to `now_ms`."""
    today = now_ms // DAY_MS
    return sum(
        _worth(counts) * _BY_DAY[max(0, today - counts.index)] for counts in latest(state.daily, today, DAYS_KEPT)
    )


def heat(state: ItemState, now_ms: int) -> float:
    """Clicks + 2 adds + 3 purchases, halved for every 6 hours since, by whole hours up to `now_ms`."""
    hour = now_ms // HOUR_MS
    return sum(
        _worth(counts) * _BY_HOUR[max(0, hour - counts.index)] for counts in latest(state.hourly, hour, HOURS_KEPT)
    )


def item_features(state: ItemState, item: Item | None, now_ms: int) -> FeatureRow:
    """Compute the features of an item at `now_ms` (ms since the epoch).

    Returns
    -------
    FeatureRow
        ``numbers`` is float32 [len(ITEM_FEATURES)], finite; what the catalogue doesn't know is 0.
    """
    day = _sum(latest(state.hourly, now_ms // HOUR_MS, 24))
    week = _sum(latest(state.daily, now_ms // DAY_MS, 7))
    month = _sum(latest(state.daily, now_ms // DAY_MS, 30))
    values = {
        "clicks_24h": day.clicks,
        "adds_24h": day.adds,
        "purchases_24h": day.purchases,
        "clicks_7d": week.clicks,
        "adds_7d": week.adds,
        "purchases_7d": week.purchases,
        "units_7d": week.units,
        "clicks_30d": month.clicks,
        "purchases_30d": month.purchases,
        "purchases_total": state.totals.purchases,
        "trend": (_worth(day) + 1) / (_worth(week) / 7 + 1),
        "popularity": popularity(state, now_ms),
        "conversion_30d": month.purchases / max(1, month.clicks + month.purchases),
        "price": 0.0 if item is None or item.price is None else item.price,
        "age_days": 0.0 if item is None else max(0, now_ms - item.published_at_ms) / DAY_MS,
        "in_stock": float(item is not None and item.in_stock),
    }
    numbers = np.array([values[name] for name in ITEM_NUMERIC_NAMES], dtype=np.float32)
    texts = {
        "title": "" if item is None else item.title,
        "category": "" if item is None or item.category is None else item.category,
        "brand": "" if item is None or item.brand is None else item.brand,
    }
    return FeatureRow(numbers, texts, ITEM_NUMERIC_NAMES)


_ENCODER = msgspec.msgpack.Encoder(order="deterministic")
_DECODER = msgspec.msgpack.Decoder(ItemState)


def encode_item_state(state: ItemState) -> bytes:
    """Encode `state`: one byte of schema version, then msgpack. Equal states make equal bytes."""
    return bytes((ITEM_STATE_VERSION,)) + _ENCODER.encode(state)


def decode_item_state(data: bytes) -> ItemState:
    """Decode what `encode_item_state` made; `StateVersionError` or `StateDamagedError` when it can't be."""
    if data[:1] != bytes((ITEM_STATE_VERSION,)):
        raise StateVersionError("item state", data[:1], ITEM_STATE_VERSION)
    try:
        return _DECODER.decode(memoryview(data)[1:])
    except (ValueError, RecursionError) as error:  # as in `decode_state`
        raise StateDamagedError("item state", data, error) from error


def _change(event: Event) -> ItemCounts | None:
    if type(event) is Click:
        return ItemCounts(0, clicks=1)
    if type(event) is Cart and event.action == "add":
        return ItemCounts(0, adds=1)
    if type(event) is Cart and event.action == "purchase":
        return ItemCounts(0, purchases=int(event.quantity > 0), units=event.quantity)
    return None


def _add(to: ItemCounts, change: ItemCounts) -> None:
    to.clicks += change.clicks
    to.adds += change.adds
    to.purchases += change.purchases
    to.units += change.units


def _add_all(to: list[ItemCounts], buckets: list[ItemCounts], newest: int, length: int) -> None:
    kind: Callable[[int], ItemCounts] = ItemCounts
    for counts in buckets:
        bucket = locate(to, counts.index, newest, length, kind)
        if bucket is not None:
            _add(bucket, counts)


def _sum(buckets: list[ItemCounts]) -> ItemCounts:
    total = ItemCounts(0)
    for counts in buckets:
        _add(total, counts)
    return total


def _worth(counts: ItemCounts) -> float:
    return CLICK_WEIGHT * counts.clicks + ADD_WEIGHT * counts.adds + PURCHASE_WEIGHT * counts.purchases
