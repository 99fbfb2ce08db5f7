"""An archive in; the feature values of every moment out, as Feast's offline store reads them.

The archive is replayed in the order of arrival through the same `update` and `features` as in the workers. A moment is
the time of a shopper's newest event, as what is served is: the values of a row are those after all events of that
moment. An event that arrives late moves no newest event: it counts from the shopper's next moment on, so no row knows
what happened after its moment, or arrived after that moment's events.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import msgspec

from feature_repo.archive.layout import ArchiveError, archived_topics
from feature_repo.archive.outputs import read_refused, read_sentiments
from feature_repo.archive.reading import read_records
from feature_repo.archive.records import ArchivedRecord
from feature_repo.archive.view_files import ViewFile, view_path
from feature_repo.events import ITEMS_TOPIC, TOPICS, Cart, Click, DecodeError, Event, Item, decode_event, decode_item
from feature_repo.features import FEATURES, ItemAttributes, features
from feature_repo.item_state import ITEM_FEATURES, ItemState, item_features, update_item
from feature_repo.offsets import Position
from feature_repo.state import Outcome, UserState, update

TOLD_EVERY = 20_000

Progress = Callable[[int], None]
"""Told how many records were replayed so far."""


class ValuesReport(msgspec.Struct):
    """What was written: rows by view, and records by what became of them."""

    folder: str
    rows: dict[str, int]
    records: Counter[str]


def write_feature_values(folder: Path, progress: Progress = lambda records: None) -> ValuesReport:
    """Replay the archive at ``folder`` and write ``features/<view>.parquet`` in it, each replaced in one step.

    All states are held in memory: about 2 to 4 kB a shopper.

    Raises
    ------
    ArchiveError
        When there is no archive, or a file of it cannot be read or written.
    """
    if not set(archived_topics(folder)) & TOPICS.keys():
        raise ArchiveError(
            f"{folder}: saw no folder of a topic of events, expected an archive; write it with `lastclick archive`"
        )
    with ExitStack() as finished:
        users = finished.enter_context(ViewFile(view_path(folder, "user_features"), "user_id", FEATURES))
        items = finished.enter_context(ViewFile(view_path(folder, "item_features"), "item_id", ITEM_FEATURES))
        replay = _Replay(users, items, read_sentiments(folder), read_refused(folder))
        for number, record in enumerate(read_records(folder, [ITEMS_TOPIC, *TOPICS]), start=1):
            replay.take(record)
            if number % TOLD_EVERY == 0:
                progress(number)
    return ValuesReport(str(folder), {"user_features": users.rows, "item_features": items.rows}, replay.outcomes)


class Shelf:
    """The catalogue as of the record that is replayed, as `features` asks for it."""

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}

    def put(self, record: ArchivedRecord) -> None:
        """Take in a record of `items`; a `DecodeError` when it breaks the contract."""
        item = decode_item(record.key, record.value)
        if isinstance(item, Item):
            self._items[item.item_id] = item
        else:
            self._items.pop(item.item_id, None)

    def item(self, item_id: str) -> Item | None:
        """Give an item; None when it is not in the catalogue."""
        return self._items.get(item_id)

    def attributes(self, item_id: str) -> ItemAttributes | None:
        """Give an item's attributes; None when it is not in the catalogue."""
        item = self._items.get(item_id)
        return None if item is None else ItemAttributes(item.category, item.brand, item.price, item.title)


class _Replay:
    """States of everyone and everything, moved on record by record."""

    def __init__(self, users: ViewFile, items: ViewFile, sentiments: dict[str, float], refused: set[Position]) -> None:
        self._user_rows, self._item_rows = users, items
        self._sentiments, self._refused = sentiments, refused
        self._users: defaultdict[str, UserState] = defaultdict(UserState)
        self._items: defaultdict[str, ItemState] = defaultdict(ItemState)
        self._shelf = Shelf()
        self.outcomes: Counter[str] = Counter()

    def take(self, record: ArchivedRecord) -> None:
        """Take a record in, and note the features it changes."""
        position = Position(record.topic, record.partition, record.offset)
        if position in self._refused:
            self.outcomes["refused"] += 1
            return
        try:
            if record.topic == ITEMS_TOPIC:
                self._shelf.put(record)
                self.outcomes["item"] += 1
                return
            event = decode_event(record.topic, record.key, record.value, record.appended_at_ms).event
        except DecodeError:
            self.outcomes["refused"] += 1  # before a worker has come to it: it has no dead letter yet
            return
        state = self._users[event.user_id]
        outcome = update(state, event, position, self._sentiments.get(event.event_id))
        self.outcomes[outcome.value] += 1
        if outcome is Outcome.APPLIED:
            self._note_user(state, event, record.appended_at_ms)
            self._note_item(event, position, record.appended_at_ms)

    def _note_user(self, state: UserState, event: Event, appended_at_ms: int) -> None:
        if event.occurred_at_ms == state.newest_ms:
            row = features(state, state.newest_ms, self._shelf)
            self._user_rows.put(event.user_id, row, state.newest_ms, appended_at_ms)

    def _note_item(self, event: Event, position: Position, appended_at_ms: int) -> None:
        if not isinstance(event, Click | Cart):
            return
        state = self._items[event.item_id]
        update_item(state, event, position)
        item = self._shelf.item(event.item_id)
        if item is not None and event.occurred_at_ms == state.newest_ms:
            row = item_features(state, item, state.newest_ms)
            self._item_rows.put(event.item_id, row, state.newest_ms, appended_at_ms)
