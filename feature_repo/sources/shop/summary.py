"""A shop to figures: how its events spread, and how far simple rules and an all-knowing oracle get.

The figures say whether the shop is worth learning from: the next product must be hard to guess from popularity,
easier from the last category, and much easier for the oracle, which knows each shopper's mission and taste.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from feature_repo.events import Cart, Click, Event
from feature_repo.sources.shop import Shop
from feature_repo.sources.shop.catalogue import DAY_MS, Floats

TEST_DAYS = 7
"""The last days, on which rules are measured; they learn from the days before."""
LIST_LENGTH = 10
RECENT = 5
"""How many last products the rule "what followed" looks at."""


@dataclass(frozen=True)
class Summary:
    """The figures of a shop; rates are shares of 1."""

    events: dict[str, int]
    """Events by kind."""
    targets: int
    """First-time clicks in the test days, each a next product to guess."""
    hit_rates: dict[str, float]
    """Share of targets among each rule's ten unseen products."""
    purchase_rate: float
    """Share of the test days' events that a purchase of the same shopper follows within 24 hours."""
    purchase_auc: dict[str, float]
    """Area under the curve of simple rules that foretell such a purchase."""


def summarise(shop: Shop) -> Summary:
    """Run the shop, which must have an end after more than a week, and measure it."""
    if shop.days is None or shop.days <= TEST_DAYS:
        raise ValueError(f"the summary needs more than {TEST_DAYS} days, but the shop has days={shop.days}")
    cut_ms = shop.start_ms + (shop.days - TEST_DAYS) * DAY_MS
    oracle = _Oracle()
    events = list(shop.watched(oracle.watch))
    kinds: Counter[str] = Counter(_kind(topic, event) for topic, event in events)
    rules = _Rules(shop, cut_ms)
    for _, event in events:
        rules.take(event)
    hit_rates = {rule: float(hits / max(1, rules.targets)) for rule, hits in rules.hits.items()}
    hit_rates["oracle"] = oracle.hit_rate(rules.targets)
    rate, auc = _purchases([event for _, event in events], cut_ms)
    return Summary(dict(kinds), rules.targets, hit_rates, rate, auc)


class _Oracle:
    """Ranks by the true probabilities; keeps whether each first click was in its first ten."""

    def __init__(self) -> None:
        self._seen: defaultdict[int, set[int]] = defaultdict(set)
        self._hits: list[bool] = []

    def watch(self, shopper: int, product: int, probabilities: Floats) -> None:
        seen = self._seen[shopper]
        if product in seen:
            return
        unseen = probabilities.copy()
        unseen[list(seen)] = -1
        self._hits.append(int((unseen > unseen[product]).sum()) < LIST_LENGTH)
        seen.add(product)

    def hit_rate(self, targets: int) -> float:
        """Hit rate over about the last `targets` clicks; the watch comes before the sorting by time."""
        return float(np.mean(self._hits[-targets:])) if targets else 0.0


class _Rules:
    """Rules that count: popularity, popularity in the last category, and what followed the last products."""

    def __init__(self, shop: Shop, cut_ms: int) -> None:
        items = list(shop.items())
        self._number = {item.item_id: number for number, item in enumerate(items)}
        categories = list(dict.fromkeys(item.category for item in items))
        self._category = np.array([categories.index(item.category) for item in items])
        self._published_ms = np.array([item.published_at_ms for item in items])
        self._cut_ms = cut_ms
        self._clicks: Floats = np.zeros(len(items))
        self._followed: Floats = np.zeros((len(items), len(items)))
        self._seen: defaultdict[str, dict[int, int]] = defaultdict(dict)
        self._recent: defaultdict[str, list[int]] = defaultdict(list)
        self.targets = 0
        self.hits: Counter[str] = Counter()

    def take(self, event: Event) -> None:
        """Guess the event if it is a first click of the test days; else, before them, learn from it."""
        if not isinstance(event, Click):
            return
        product = self._number[event.item_id]
        recent, seen = self._recent[event.user_id], self._seen[event.user_id]
        if event.occurred_at_ms < self._cut_ms:
            self._clicks[product] += 1
            for age, earlier in enumerate(reversed(recent)):
                self._followed[earlier, product] += 0.7**age
        elif product not in seen and recent:
            self._guess(product, recent, list(seen), event.occurred_at_ms)
        elif product not in seen:
            self.targets += 1  # nothing is known of the shopper yet: no rule gets it
        seen[product] = event.occurred_at_ms
        recent.append(product)
        del recent[:-RECENT]

    def _guess(self, product: int, recent: Sequence[int], seen: list[int], now_ms: int) -> None:
        self.targets += 1
        same = self._category == self._category[recent[-1]]
        weights = 0.7 ** np.arange(len(recent))[::-1]
        scores = {
            "popularity": self._clicks,
            "last category": self._clicks + same * (1 + self._clicks.max()),
            "what followed": weights @ self._followed[list(recent)] + 1e-6 * self._clicks,
        }
        for rule, values in scores.items():
            unseen = np.where(self._published_ms <= now_ms, values, -1.0)
            unseen[seen] = -1
            self.hits[rule] += int((unseen > unseen[product]).sum()) < LIST_LENGTH and unseen[product] > 0


def _purchases(events: Sequence[Event], cut_ms: int) -> tuple[float, dict[str, float]]:
    """Rate of purchases within 24 hours after the events of the test days but the last, and AUC of rules."""
    newest_ms = events[-1].occurred_at_ms
    buys: defaultdict[str, list[int]] = defaultdict(list)
    for event in events:
        if isinstance(event, Cart) and event.action == "purchase" and event.quantity > 0:
            buys[event.user_id].append(event.occurred_at_ms)
    last_ms: dict[str, int] = {}
    cart: defaultdict[str, set[str]] = defaultdict(set)
    earlier: Counter[str] = Counter()
    columns: dict[str, list[float]] = {"recency": [], "products in cart": [], "earlier purchases": []}
    labels: list[bool] = []
    for event in events:
        user_id, now_ms = event.user_id, event.occurred_at_ms
        gap_ms = now_ms - last_ms.get(user_id, now_ms - 30 * DAY_MS)
        last_ms[user_id] = now_ms
        if isinstance(event, Cart):
            if event.action == "add":
                cart[user_id].add(event.item_id)
            else:
                cart[user_id].discard(event.item_id)
            earlier[user_id] += event.action == "purchase"
        if cut_ms <= now_ms <= newest_ms - DAY_MS:
            labels.append(any(now_ms < bought_ms <= now_ms + DAY_MS for bought_ms in buys[user_id]))
            columns["recency"].append(-gap_ms)
            columns["products in cart"].append(len(cart[user_id]))
            columns["earlier purchases"].append(earlier[user_id])
    truth = np.array(labels)
    return float(truth.mean()), {rule: _auc(np.array(values), truth) for rule, values in columns.items()}


def _auc(scores: Floats, truth: np.ndarray) -> float:
    """Probability that an event followed by a purchase scores above one that is not; ties count half."""
    values, place = np.unique(scores, return_inverse=True)
    with_purchase = np.bincount(place[truth], minlength=len(values)).astype(np.float64)
    without = np.bincount(place[~truth], minlength=len(values)).astype(np.float64)
    below = np.concatenate([[0.0], without.cumsum()[:-1]])
    return float((with_purchase * (below + without / 2)).sum() / (with_purchase.sum() * without.sum()))


def _kind(topic: str, event: Event) -> str:
    if isinstance(event, Cart):
        return "returns" if event.quantity < 0 else f"{event.action}s"
    return topic
