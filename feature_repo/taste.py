"""A user's last interactions -> session and cart, prices, categories and brands, and the mood of reviews."""

from __future__ import annotations

import math

from feature_repo.declarations import Catalogue, Feature
from feature_repo.history import ADD, CLICK, UNKNOWN_PRICE, Entry
from feature_repo.state import UserState

SESSION_GAP_MS = 30 * 60_000
"""A session ends when nothing happens for this long."""
ACTION_WEIGHTS = (1.0, 3.0, 0.0, 5.0, 2.0)
"""How much an interaction says of a taste: click, add, remove, purchase, review."""
TASTE_HALF_LIFE_MS = 7 * 24 * 3_600_000
"""Tastes are weighed by age before the newest interaction, halved for each of these."""

SESSION = (
    Feature("session_events", "Interactions of the session under way; at most 64.", "events"),
    Feature("session_seconds", "Time from the session's first interaction to its last.", "seconds"),
    Feature("clicks_since_add", "Clicks since an item was last put into the cart; at most 64.", "events"),
    Feature("cart_items", "Different items in the cart.", "items"),
    Feature("cart_units", "Units in the cart.", "units"),
)
PRICES = (
    Feature("log_price_mean", "Mean price of the last interactions' items.", "log(1 + currency units)"),
    Feature("log_price_spread", "Standard deviation of those prices.", "log(1 + currency units)"),
    Feature("log_price_last", "Price of the last item less that mean.", "log(1 + currency units)"),
)
TASTES = (
    Feature("history_items", "Different items among the last 64 interactions.", "items"),
    Feature("repeat_share", "Interactions with an item met before among the last 64.", "share"),
    Feature("top_category_share", "Weight of the strongest category in the last interactions.", "share"),
    Feature("category_entropy", "How spread out the last interactions' categories are.", "nats"),
    Feature("top_brand_share", "Weight of the strongest brand in the last interactions.", "share"),
    Feature("brand_entropy", "How spread out the last interactions' brands are.", "nats"),
    Feature("top_category", "The strongest category; empty when none is known.", "category", "string"),
    Feature("top_brand", "The strongest brand; empty when none is known.", "brand", "string"),
)
MOOD = (
    Feature("reviews_total", "Reviews ever written.", "events"),
    Feature("mood_mean", "Mean score of the last 8 scored reviews; 0 when there are none.", "score, -1 to 1"),
    Feature("mood_last", "Score of the last scored review; 0 when there is none.", "score, -1 to 1"),
)


def session(state: UserState, now_ms: int, catalogue: Catalogue) -> dict[str, float]:
    """Describe the session under way, which is empty 30 minutes after the last interaction, and the cart."""
    history = state.history
    start = len(history)
    until_ms = now_ms
    while start and until_ms - history[start - 1].ms <= SESSION_GAP_MS:
        start -= 1
        until_ms = history[start].ms
    since_add = 0
    for entry in reversed(history):
        if entry.action == ADD:
            break
        since_add += entry.action == CLICK
    units = state.cart.units
    return {
        "session_events": len(history) - start,
        "session_seconds": (history[-1].ms - history[start].ms) / 1000 if start < len(history) else 0.0,
        "clicks_since_add": since_add,
        "cart_items": len(units),
        "cart_units": sum(units.values()),
    }


def prices(state: UserState, now_ms: int, catalogue: Catalogue) -> dict[str, float]:
    """Describe the prices of the last interactions; the catalogue's where the event has none."""
    logs = []
    for entry in state.history:
        price = _price(entry, catalogue)
        if price is not None:
            logs.append(math.log1p(price))
    if not logs:
        return {"log_price_mean": 0.0, "log_price_spread": 0.0, "log_price_last": 0.0}
    mean = sum(logs) / len(logs)
    return {
        "log_price_mean": mean,
        "log_price_spread": math.sqrt(sum((log - mean) ** 2 for log in logs) / len(logs)),
        "log_price_last": logs[-1] - mean,
    }


def tastes(state: UserState, now_ms: int, catalogue: Catalogue) -> dict[str, float | str]:
    """Weigh the categories and brands of the last interactions by action and age."""
    history = state.history
    categories: dict[str, float] = {}
    brands: dict[str, float] = {}
    for entry in history:
        weight = ACTION_WEIGHTS[entry.action]
        item = catalogue.attributes(entry.item_id) if weight else None
        if item is None:
            continue
        weight *= 0.5 ** ((history[-1].ms - entry.ms) / TASTE_HALF_LIFE_MS)
        if item.category is not None:
            categories[item.category] = categories.get(item.category, 0.0) + weight
        if item.brand is not None:
            brands[item.brand] = brands.get(item.brand, 0.0) + weight
    distinct = len({entry.item_id for entry in history})
    top_category, category_share, category_entropy = _strongest(categories)
    top_brand, brand_share, brand_entropy = _strongest(brands)
    return {
        "history_items": distinct,
        "repeat_share": 1 - distinct / len(history) if history else 0.0,
        "top_category_share": category_share,
        "category_entropy": category_entropy,
        "top_brand_share": brand_share,
        "brand_entropy": brand_entropy,
        "top_category": top_category,
        "top_brand": top_brand,
    }


def mood(state: UserState, now_ms: int, catalogue: Catalogue) -> dict[str, float]:
    """Average what the last reviews said."""
    scores = [noted.score_milli / 1000 for noted in state.moods]
    return {
        "reviews_total": state.totals.reviews,
        "mood_mean": sum(scores) / len(scores) if scores else 0.0,
        "mood_last": scores[-1] if scores else 0.0,
    }


def _price(entry: Entry, catalogue: Catalogue) -> float | None:
    if entry.price_milli != UNKNOWN_PRICE:
        return entry.price_milli / 1000
    item = catalogue.attributes(entry.item_id)
    return None if item is None else item.price


def _strongest(weights: dict[str, float]) -> tuple[str, float, float]:
    """Name, share and entropy (nats) of weights by name; equal weights go by name."""
    total = sum(weights.values())
    if not total:
        return "", 0.0, 0.0
    strongest = min(weights, key=lambda name: (-weights[name], name))
    shares = [weight / total for weight in weights.values()]
    return strongest, max(shares), -sum(share * math.log(share) for share in shares if share)
