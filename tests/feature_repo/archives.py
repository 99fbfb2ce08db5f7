"""Small archives for tests: records in; files as the archiver writes them out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from feature_repo.archive.layout import day_of
from feature_repo.archive.records import ArchivedRecord, Headers
from feature_repo.archive.writing import write_segment
from feature_repo.events import Cart, Click, Event, Impression, Item, Review, encode

NOON_MS = 1_700_049_600_000
"""12:00 UTC on 15 November 2023."""

TOPIC_OF = {Click: "clicks", Cart: "carts", Review: "reviews", Impression: "impressions", Item: "items"}


class Broker:
    """Gives records their offsets, in the order in which they arrive, and writes them all to an archive."""

    def __init__(self, partitions: int = 2) -> None:
        self._partitions = partitions
        self._offsets: Counter[tuple[str, int]] = Counter()
        self.records: list[ArchivedRecord] = []

    def append(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        at_ms: int,
        partition: int | None = None,
        headers: Headers = (),
    ) -> ArchivedRecord:
        """Append a record as it is; by its key where no partition is named."""
        number = sum(key or b"") % self._partitions if partition is None else partition
        offset = self._offsets[topic, number]
        self._offsets[topic, number] += 1
        record = ArchivedRecord(topic, number, offset, at_ms, key, value, headers)
        self.records.append(record)
        return record

    def take(self, event: Event | Item, at_ms: int | None = None) -> ArchivedRecord:
        """Append an event or item; a second after its own time where none is named."""
        if isinstance(event, Item):
            return self.append("items", event.item_id.encode(), encode(event), at_ms or event.published_at_ms + 1_000)
        own_ms = event.occurred_at_ms + 1_000
        return self.append(TOPIC_OF[type(event)], event.user_id.encode(), encode(event), at_ms or own_ms)

    def archive(self, folder: Path) -> Path:
        """Write everything to ``folder``, a file a partition and day."""
        write(folder, self.records)
        return folder


def write(folder: Path, records: Iterable[ArchivedRecord], topic_id: str = "id-1") -> None:
    """Write records to an archive, a file a partition and day."""

    def place(record: ArchivedRecord) -> tuple[str, int]:
        return record.topic, record.partition

    for _, of_partition in groupby(sorted(records, key=lambda r: (*place(r), r.offset)), place):
        for _, of_day in groupby(of_partition, lambda record: day_of(record.appended_at_ms)):
            write_segment(folder, list(of_day), topic_id)
