"""Made-up events of one shopper, for the tests of states and features: any times, ties included, in any order."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from hypothesis import strategies as st

from feature_repo.declarations import ItemAttributes
from feature_repo.events import Cart, Click, Event, Impression, Review
from feature_repo.state import Position, UserState, update

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
NOW_MS = 1_700_000_000_000
USER_ID = "u1"
ITEM_IDS = ("mug", "cup", "plate", "bowl", "jug")


class Arrival(NamedTuple):
    """An event on its topic, with the sentiment a model gave it."""

    topic: str
    event: Event
    sentiment: float | None


class Shelf:
    """A catalogue of the items above, the last of them unknown to it."""

    def __init__(self) -> None:
        self._items = {
            "mug": ItemAttributes("drinking", "Kiln", 4.5, "Blue mug"),
            "cup": ItemAttributes("drinking", None, 3.0, "White cup"),
            "plate": ItemAttributes("dining", "Kiln", None, "Plate"),
            "bowl": ItemAttributes(None, "Forest", 12.0, "Wooden bowl"),
        }

    def attributes(self, item_id: str) -> ItemAttributes | None:
        return self._items.get(item_id)


def click(event_id: str, ms: int, item_id: str = "mug") -> Click:
    return Click(event_id, USER_ID, item_id, ms)


def cart(event_id: str, ms: int, action: str, quantity: int = 1, item_id: str = "mug", unit_price: float = 4.5) -> Cart:
    return Cart(event_id, USER_ID, item_id, action, quantity, unit_price, ms)  # type: ignore[arg-type]


def review(event_id: str, ms: int, stars: int | None = None, item_id: str = "mug") -> Review:
    return Review(event_id, USER_ID, item_id, "Lovely.", ms, stars)


def impression(event_id: str, ms: int) -> Impression:
    return Impression(event_id, USER_ID, "l1", ("mug", "cup"), ms)


def make_arrival(number: int, kind: int, ago_ms: int, choice: random.Random) -> Arrival:
    """Make the event `number` of a shopper; `kind` is 0 to 6, `choice` decides the rest."""
    event_id, ms, item_id = f"event-{number}", NOW_MS - ago_ms, choice.choice(ITEM_IDS)
    if kind == 0:
        return Arrival("clicks", click(event_id, ms, item_id), None)
    if kind == 1:
        sentiment = choice.choice((None, -1.0, 0.1234, 0.9))
        return Arrival("reviews", review(event_id, ms, choice.choice((None, 1, 4, 5)), item_id), sentiment)
    if kind == 2:
        return Arrival("impressions", impression(event_id, ms), None)
    action = ("add", "remove", "purchase", "purchase")[kind - 3]
    quantity = -choice.randint(1, 3) if kind == 6 else choice.randint(1, 3)
    price = choice.choice((0.0, 0.1, 1.25, 19.99, 1e9))
    return Arrival("carts", cart(event_id, ms, action, quantity, item_id, price), None)


@st.composite
def arrivals(draw: st.DrawFn, max_size: int = 40) -> list[Arrival]:
    """Draw different events of one shopper, over months, days and minutes, some of them in the same millisecond."""
    ago_ms = st.one_of(
        st.integers(0, 3),
        st.integers(0, 90).map(lambda minutes: minutes * 60_000),
        st.integers(0, 100).map(lambda hours: hours * HOUR_MS),
        st.integers(0, 5000).map(lambda days: days * DAY_MS),
    )
    drawn = draw(st.lists(st.tuples(st.integers(0, 6), ago_ms), max_size=max_size))
    choice = random.Random(draw(st.integers(0, 2**32)))
    return [make_arrival(number, kind, ago, choice) for number, (kind, ago) in enumerate(drawn)]


def apply(state: UserState, arrived: Iterable[Arrival]) -> list[tuple[Arrival, Position]]:
    """Apply events in the order given, with the offsets that they get by arriving in it."""
    offsets: dict[str, int] = {}
    delivered = []
    for arrival in arrived:
        position = Position(arrival.topic, 3, offsets.setdefault(arrival.topic, 0))
        offsets[arrival.topic] += 1
        update(state, arrival.event, position, arrival.sentiment)
        delivered.append((arrival, position))
    return delivered


def state_of(arrived: Sequence[Arrival]) -> UserState:
    """Apply events to a new user's state."""
    state = UserState()
    apply(state, arrived)
    return state
