"""The archive as a source: a folder comes in; items, and events in the order of their arrival, go out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec

from feature_repo.archive.layout import archived_topics
from feature_repo.archive.reading import count_events, read_records
from feature_repo.events import ITEMS_TOPIC, TOPICS, DecodeError, Event, Item, decode_event, decode_item
from feature_repo.sources.source import SourceError


class Archive:
    """What `lastclick archive` has written.

    Every record of the user topics becomes an event or is counted as skipped; both are told apart by the rules that the
    workers follow. What a producer sent twice comes twice: `update` knows it by its id.

    Parameters
    ----------
    folder
        The archive, with a folder for each topic.
    """

    name = "archive"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.skipped: Counter[str] = Counter()

    def items(self) -> Iterator[Item]:
        """Yield the newest state of every item that ever was in the catalogue; a removed one is out of stock."""
        newest: dict[str, Item] = {}
        for record in read_records(self._folder, [ITEMS_TOPIC]):
            try:
                item = decode_item(record.key, record.value)
            except DecodeError:
                continue  # its dead letter says why; what counts here are events
            if isinstance(item, Item):
                newest[item.item_id] = item
            elif item.item_id in newest:
                newest[item.item_id] = msgspec.structs.replace(newest[item.item_id], in_stock=False)
        return iter(newest.values())

    def events(self) -> Iterator[tuple[str, Event]]:
        """Yield (topic, event) in the order of arrival; records that are no event are counted by topic and field."""
        self.skipped.clear()
        for record in read_records(self._folder, list(TOPICS)):
            try:
                decoded = decode_event(record.topic, record.key, record.value, record.appended_at_ms)
            except DecodeError as error:
                # Without the place in a list, of which a sender could make any number.
                self.skipped[f"{record.topic}: {error.field.partition('[')[0]}"] += 1
                continue
            yield record.topic, decoded.event

    def count(self) -> int:
        """Return the number of events, as the archiver has counted them."""
        return count_events(self._folder, list(TOPICS))


def open_archive(path: Path | None) -> Archive:
    """Open the archive at `path`.

    Raises
    ------
    SourceError
        When no path was given, or no archive is there.
    """
    if path is None:
        raise SourceError("source 'archive' reads a folder, but no path was given: name the archive's folder")
    if not set(archived_topics(path)) & TOPICS.keys():
        raise SourceError(
            f"source 'archive' cannot read {path}: saw no folder of a topic of events in it, expected one of "
            f"{', '.join(f'topic={topic}' for topic in TOPICS)}; write it with `lastclick archive`"
        )
    return Archive(path)
