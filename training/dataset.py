"""A source's log to training data, through the same state, features and encoder as the running flow.

In: a `Source`. Out: every user's interactions as flat arrays in event-time order, and propensity examples: the
features of a user at an event, and whether a purchase follows within 24 hours.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from feature_repo.events import Event, Item
from feature_repo.features import NUMERIC_NAMES, ItemAttributes, features
from feature_repo.sources.source import Source
from feature_repo.state import ACTIONS, Entry, Outcome, UserState, update
from scorer.encoder import EncodedEntries, encode_entries
from scorer.item_table import ItemTable

DAY_MS = 86_400_000
MAX_EXAMPLES = 16_000
_TOLD_EVERY = 50_000
PURCHASE = ACTIONS.index("purchase")


class DataError(Exception):
    """A log that cannot be trained on or evaluated: says what was seen and what is needed."""


@dataclass(frozen=True)
class Interactions:
    """All interactions, sorted by user, then by time; T of them.

    Parameters
    ----------
    user_ids
        U ids, in the order of their first event.
    starts
        int64 [U + 1], where each user's interactions start; the last one is T.
    rows
        int64 [T], rows of the data set's item table; 0 for an item that the catalogue lacks.
    action
        int64 [T], as the encoder gives them: place in ACTIONS plus one.
    gap, price
        float32 [T], as the encoder gives them.
    ms
        int64 [T], milliseconds since the epoch.
    """

    user_ids: list[str]
    starts: NDArray[np.int64]
    rows: NDArray[np.int64]
    action: NDArray[np.int64]
    gap: NDArray[np.float32]
    price: NDArray[np.float32]
    ms: NDArray[np.int64]


@dataclass(frozen=True)
class Examples:
    """Propensity examples, E of them, at randomly drawn events.

    Parameters
    ----------
    user
        int64 [E], place in ``Interactions.user_ids``.
    end
        int64 [E], end of the user's history then: a place in the flat arrays of `Interactions`.
    now_ms
        int64 [E], time of the event.
    features
        float32 [E, F], in the order of ``NUMERIC_NAMES``, computed at `now_ms`.
    bought
        bool [E], whether a purchase follows in (`now_ms`, `now_ms` + 24 h]; meaningful only if the log goes on
        that long.
    """

    user: NDArray[np.int64]
    end: NDArray[np.int64]
    now_ms: NDArray[np.int64]
    features: NDArray[np.float32]
    bought: NDArray[np.bool_]

    def where(self, chosen: NDArray[np.bool_]) -> Examples:
        """Keep the chosen examples, bool [E]."""
        return Examples(*(array[chosen] for array in vars(self).values()))


@dataclass(frozen=True)
class Dataset:
    """What is trained on and evaluated: the log's `name`, its items, and what its users did.

    `table` holds the items in catalogue order from row 1, with prices but without vectors (width 0).
    `first_ms` and `last_ms` are the times of the log's first and last event.
    """

    name: str
    items: list[Item]
    table: ItemTable
    interactions: Interactions
    examples: Examples
    first_ms: int
    last_ms: int


class Catalogue:
    """The items' attributes, as the features read them."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._attributes = {
            item.item_id: ItemAttributes(category=item.category, brand=item.brand, price=item.price, title=item.title)
            for item in items
        }

    def attributes(self, item_id: str) -> ItemAttributes | None:
        """Give an item's attributes; None for an item that the catalogue lacks."""
        return self._attributes.get(item_id)


@dataclass
class _User:
    """What is gathered of one user while the log is replayed."""

    state: UserState = field(default_factory=UserState)
    entries: list[Entry] = field(default_factory=list)
    drawn: bool = False


@dataclass
class _Drawn:
    """A propensity example before its label is known."""

    user_id: str
    now_ms: int
    features: NDArray[np.float32]


def read_dataset(
    source: Source,
    *,
    max_examples: int = MAX_EXAMPLES,
    seed: int = 0,
    progress: Callable[[str], None] = lambda message: None,
) -> Dataset:
    """Replay a source into a data set.

    An example is drawn at each event with the same probability, since serving scores a user after each event. What
    shares a millisecond (the lines of an invoice) is one moment: the features are those after all of it.

    Parameters
    ----------
    source
        The log.
    max_examples
        About how many propensity examples to draw at most.
    seed
        Of the draw.
    progress
        Is told a line every 50,000 events, and what the source left out.

    Raises
    ------
    DataError
        When the log holds no interaction.
    """
    items = list(source.items())
    catalogue = Catalogue(items)
    events = source.count()
    share = 1.0 if events is None else min(1.0, max_examples / max(events, 1))
    random = np.random.default_rng(seed)
    users: dict[str, _User] = defaultdict(_User)
    drawn: list[_Drawn] = []
    first_ms, last_ms = 0, 0
    for number, (_, event) in enumerate(source.events(), start=1):
        if number % _TOLD_EVERY == 0:
            progress(f"{number:,} events replayed{'' if events is None else f' of {events:,}'}")
        user = users[event.user_id]
        newest_ms = user.state.newest_ms
        # A late event, too, ends the moment: the example knows what had arrived with it, and no later one stands there.
        if user.drawn and event.occurred_at_ms != newest_ms:
            drawn.append(_draw(event.user_id, user, catalogue))
        newest = user.state.history[-1:]
        if update(user.state, event, None) is Outcome.DUPLICATE:
            continue
        if user.state.history[-1:] != newest:
            user.entries.append(user.state.history[-1])
        else:
            user.entries.extend(_entries_of(event))
        user.drawn = user.drawn or (event.occurred_at_ms >= newest_ms and random.random() < share)
        if len(drawn) > max_examples:
            # A source that cannot count its events: keep half, and draw half as many from here on.
            drawn = [example for example in drawn if random.random() < 0.5]
            share /= 2
        first_ms = min(first_ms or event.occurred_at_ms, event.occurred_at_ms)
        last_ms = max(last_ms, event.occurred_at_ms)
    if source.skipped:
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in source.skipped.most_common())
        progress(f"left out as no events: {reasons}")
    drawn.extend(_draw(user_id, user, catalogue) for user_id, user in users.items() if user.drawn)
    if not any(user.entries for user in users.values()):
        raise DataError(f"source {source.name!r}: saw no interaction in its log, expected at least one")
    table = ItemTable(width=0)
    table.put(
        [item.item_id for item in items],
        np.zeros((len(items), 0), dtype=np.float32),
        [item.price for item in items],
    )
    interactions = _flatten(users, table)
    return Dataset(source.name, items, table, interactions, _label(drawn, interactions), first_ms, last_ms)


def _entries_of(event: Event) -> list[Entry]:
    """Give the history entry that the state makes of an event; none for impressions and returns.

    A full history of one millisecond may not have kept it.
    """
    alone = UserState()
    update(alone, event, None)
    return alone.history


def _draw(user_id: str, user: _User, catalogue: Catalogue) -> _Drawn:
    user.drawn = False
    now_ms = user.state.newest_ms
    row = features(user.state, now_ms, catalogue)
    return _Drawn(user_id, now_ms, row.numbers)


def _flatten(users: dict[str, _User], table: ItemTable) -> Interactions:
    encoded: list[EncodedEntries] = []
    times_ms: list[int] = []
    for user in users.values():
        user.entries.sort()
        encoded.append(encode_entries(user.entries, table))
        times_ms.extend(entry.ms for entry in user.entries)
    lengths = [len(entries.rows) for entries in encoded]
    return Interactions(
        user_ids=list(users),
        starts=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        rows=np.concatenate([entries.rows for entries in encoded]),
        action=np.concatenate([entries.action for entries in encoded]),
        gap=np.concatenate([entries.gap for entries in encoded]),
        price=np.concatenate([entries.price for entries in encoded]),
        ms=np.array(times_ms, dtype=np.int64),
    )


def _label(drawn: list[_Drawn], interactions: Interactions) -> Examples:
    place_of = {user_id: place for place, user_id in enumerate(interactions.user_ids)}
    user = np.array([place_of[example.user_id] for example in drawn], dtype=np.int64)
    now_ms = np.array([example.now_ms for example in drawn], dtype=np.int64)
    end = np.zeros(len(drawn), dtype=np.int64)
    bought = np.zeros(len(drawn), dtype=bool)
    for place, (owner, moment) in enumerate(zip(user, now_ms, strict=True)):
        span = slice(interactions.starts[owner], interactions.starts[owner + 1])
        # By time, not by how many had come: what arrived late stands before what it happened before.
        end[place] = span.start + np.searchsorted(interactions.ms[span], moment, side="right")
        purchases_ms = interactions.ms[span][interactions.action[span] == PURCHASE + 1]
        after = np.searchsorted(purchases_ms, moment, side="right")
        bought[place] = after < len(purchases_ms) and purchases_ms[after] <= moment + DAY_MS
    features_of = [example.features for example in drawn]
    numbers = np.stack(features_of) if drawn else np.zeros((0, len(NUMERIC_NAMES)), dtype=np.float32)
    return Examples(user, end, now_ms, numbers, bought)
