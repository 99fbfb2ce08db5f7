"""What is known of a user, for people: a state and the catalogue in; one document out, of pure functions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import msgspec

from feature_repo.counts import SCORE_SCALE, SPEND_SCALE
from feature_repo.declarations import Catalogue
from feature_repo.state import ACTIONS, UserState
from feature_repo.taste import ACTION_WEIGHTS, TASTE_HALF_LIFE_MS

TOP = 5
"""Categories and brands that are told."""

NEWEST_EVENTS = 20
POSITIVE, NEGATIVE = 0.25, -0.25
"""Mean scores of reviews, of -1 to 1, from which a mood is called so."""

Label = Literal["low", "medium", "high"]


class Interest(msgspec.Struct, frozen=True):
    """A category or brand, and its share of what the user's last interactions say of their taste, 0 to 1."""

    name: str
    weight: float


class Interests(msgspec.Struct, frozen=True):
    """What the user likes, strongest first."""

    categories: list[Interest]
    brands: list[Interest]


class Behaviour(msgspec.Struct, frozen=True):
    """Counts of everything ever, and when things last happened; None for never."""

    clicks: int
    adds: int
    removes: int
    purchases: int
    returns: int
    reviews: int
    impressions: int
    first_event_at_ms: int | None
    last_event_at_ms: int | None
    last_click_at_ms: int | None
    last_add_at_ms: int | None
    last_purchase_at_ms: int | None


class CartItem(msgspec.Struct, frozen=True):
    """An item in the cart; ``title`` None when it has left the catalogue."""

    item_id: str
    title: str | None
    quantity: int


class Mood(msgspec.Struct, frozen=True):
    """How the user's scored reviews sound: mean of the last eight and the last one, -1 to 1."""

    label: Literal["positive", "neutral", "negative", "unknown"]
    mean: float | None
    last: float | None
    reviews: int


class Value(msgspec.Struct, frozen=True):
    """What was spent, less returns, in currency units, and the probability of a purchase within 24 hours."""

    spend_total: float
    units_total: int
    propensity: float
    propensity_label: Label
    model_version: str


class PastEvent(msgspec.Struct, frozen=True):
    """An event of the history."""

    action: str
    item_id: str
    title: str | None
    occurred_at_ms: int
    quantity: int
    unit_price: float | None


class Profile(msgspec.Struct, frozen=True):
    """All of it, as of the user's newest event."""

    user_id: str
    interests: Interests
    behaviour: Behaviour
    cart: list[CartItem]
    mood: Mood
    value: Value
    events: list[PastEvent]


@dataclass(frozen=True)
class Propensity:
    """Probability of a purchase within 24 hours of the newest event, and whose forecast it is."""

    value: float
    label: Label
    model_version: str


def label_of(propensity: float, high: float, medium: float) -> Label:
    """Label of a probability, as the ``scores`` topic has it."""
    if propensity >= high:
        return "high"
    return "medium" if propensity >= medium else "low"


def profile(user_id: str, state: UserState, catalogue: Catalogue, propensity: Propensity) -> Profile:
    """Describe a user."""
    totals = state.totals
    return Profile(
        user_id=user_id,
        interests=interests(state, catalogue),
        behaviour=Behaviour(
            clicks=totals.clicks,
            adds=totals.adds,
            removes=totals.removes,
            purchases=totals.purchases,
            returns=totals.returns,
            reviews=totals.reviews,
            impressions=totals.impressions,
            first_event_at_ms=state.first_ms or None,
            last_event_at_ms=state.newest_ms or None,
            last_click_at_ms=state.last_click_ms or None,
            last_add_at_ms=state.last_add_ms or None,
            last_purchase_at_ms=state.last_purchase_ms or None,
        ),
        cart=[CartItem(item_id, _title(item_id, catalogue), units) for item_id, units in state.cart.units.items()],
        mood=mood(state),
        value=Value(
            spend_total=totals.spend / SPEND_SCALE,
            units_total=totals.units,
            propensity=propensity.value,
            propensity_label=propensity.label,
            model_version=propensity.model_version,
        ),
        events=past_events(state, catalogue),
    )


def interests(state: UserState, catalogue: Catalogue) -> Interests:
    """Weigh categories and brands as the features of taste do: by action, halved for every week of age."""
    categories: dict[str, float] = {}
    brands: dict[str, float] = {}
    for entry in state.history:
        item = catalogue.attributes(entry.item_id)
        if item is None:
            continue
        weight = ACTION_WEIGHTS[entry.action] * 0.5 ** ((state.history[-1].ms - entry.ms) / TASTE_HALF_LIFE_MS)
        for weights, name in ((categories, item.category), (brands, item.brand)):
            if name is not None:
                weights[name] = weights.get(name, 0.0) + weight
    return Interests(_top(categories), _top(brands))


def mood(state: UserState) -> Mood:
    """Average what the last reviews said."""
    scores = [noted.score_milli / SCORE_SCALE for noted in state.moods]
    if not scores:
        return Mood("unknown", None, None, state.totals.reviews)
    mean = sum(scores) / len(scores)
    label: Literal["positive", "neutral", "negative"] = "neutral"
    if mean >= POSITIVE:
        label = "positive"
    elif mean <= NEGATIVE:
        label = "negative"
    return Mood(label, mean, scores[-1], state.totals.reviews)


def past_events(state: UserState, catalogue: Catalogue) -> list[PastEvent]:
    """Newest events of the history, newest first."""
    return [
        PastEvent(
            action=ACTIONS[entry.action],
            item_id=entry.item_id,
            title=_title(entry.item_id, catalogue),
            occurred_at_ms=entry.ms,
            quantity=entry.quantity,
            unit_price=None if entry.price_milli < 0 else entry.price_milli / 1000,
        )
        for entry in reversed(state.history[-NEWEST_EVENTS:])
    ]


def _top(weights: dict[str, float]) -> list[Interest]:
    total = sum(weights.values())
    strongest = sorted(weights, key=lambda name: (-weights[name], name))[:TOP]
    return [Interest(name, weights[name] / total) for name in strongest if weights[name] > 0]


def _title(item_id: str, catalogue: Catalogue) -> str | None:
    item = catalogue.attributes(item_id)
    return None if item is None else item.title
