"""An archive and topics in; their records out, in the order in which they arrived.

By the time of append, then topic (in the order asked for), partition and offset. A partition's records keep their order
whatever the broker's clock did.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pyarrow.parquet as pq

from feature_repo.archive.layout import ArchiveError, Segment, find_segments
from feature_repo.archive.records import RAW, ArchivedRecord, records_of

ROWS_A_BATCH = 2_000

Result = TypeVar("Result")


def read_records(folder: Path, topics: Sequence[str]) -> Iterator[ArchivedRecord]:
    """Yield all records of some topics in the order of arrival.

    Raises
    ------
    ArchiveError
        When a file cannot be read, or the names contradict each other.
    """
    streams = [
        _read_partition(folder, segments, place)
        for place, topic in enumerate(topics)
        for segments in find_segments(folder, topic).values()
    ]
    for record, _ in heapq.merge(*streams, key=_arrival):
        yield record


def read_segment(folder: Path, segment: Segment) -> Iterator[ArchivedRecord]:
    """Yield the records of one file, in the order of their offsets."""
    path = segment.path(folder)
    with _readable(path) as file:
        batches = file.iter_batches(batch_size=ROWS_A_BATCH, columns=list(RAW))
        while (batch := _or_archive_error(path, lambda: next(batches, None))) is not None:
            yield from records_of(segment.topic, batch)


def count_events(folder: Path, topics: Sequence[str]) -> int:
    """Count the valid events on user topics, from the files' footers alone."""
    count = 0
    for topic in topics:
        for segments in find_segments(folder, topic).values():
            for segment in segments:
                with _readable(segment.path(folder)) as file:
                    count += file.metadata.num_rows - _nulls(file, "event_id")
    return count


def _read_partition(folder: Path, segments: Sequence[Segment], place: int) -> Iterator[tuple[ArchivedRecord, int]]:
    for segment in segments:
        for record in read_segment(folder, segment):
            yield record, place


def _arrival(entry: tuple[ArchivedRecord, int]) -> tuple[int, int, int, int]:
    record, place = entry
    return record.appended_at_ms, place, record.partition, record.offset


def _nulls(file: pq.ParquetFile, column: str) -> int:
    # Numbers of Parquet's columns count the leaves of nested ones, so they are not those of Arrow's fields.
    (place,) = (number for number in range(len(file.schema)) if file.schema.column(number).path == column)
    groups = (file.metadata.row_group(number) for number in range(file.metadata.num_row_groups))
    return sum(int(group.column(place).statistics.null_count) for group in groups)


def _readable(path: Path) -> pq.ParquetFile:
    return _or_archive_error(path, lambda: pq.ParquetFile(path))


def _or_archive_error(path: Path, read: Callable[[], Result]) -> Result:
    try:
        return read()
    except (OSError, ValueError) as error:  # Arrow's errors are both
        raise ArchiveError(f"{path}: cannot be read ({error}); restore it from a copy") from error
