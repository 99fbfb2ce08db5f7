"""Events in any order to events in event-time order, sorted on disk, so that no log has to fit into memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing

import msgspec

from feature_repo.events import TOPICS, Event, encode

_DECODERS = {topic: msgspec.json.Decoder(kind) for topic, kind in TOPICS.items()}


def sorted_by_time(events: Iterable[tuple[str, Event]]) -> Iterator[tuple[str, Event]]:
    """Yield (topic, event) by `occurred_at_ms`; events of one millisecond stay in the order in which they came.

    All of `events` is read before the first one is yielded. They wait in a private SQLite database, which lives in
    the system's folder of temporary files as soon as it outgrows a few megabytes, and is gone at the end.
    """
    with closing(sqlite3.connect("")) as database:
        database.execute("CREATE TABLE events (ms INTEGER, topic TEXT, value BLOB)")
        database.executemany(
            "INSERT INTO events VALUES (?, ?, ?)",
            ((event.occurred_at_ms, topic, encode(event)) for topic, event in events),
        )
        for topic, value in database.execute("SELECT topic, value FROM events ORDER BY ms, rowid"):
            yield topic, _DECODERS[topic].decode(value)
