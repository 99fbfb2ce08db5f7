"""Records in; a file of the archive out, whole and on the disk, or none at all.

A file is written under a name that no reader looks for, brought to the disk, and then renamed: whatever moment the
writer is killed at, a name that says which offsets are archived stands for a file that has
them. One writer at a time has the folder.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pyarrow.parquet as pq

from feature_repo.archive.layout import ArchiveError, Segment, day_of
from feature_repo.archive.records import ArchivedRecord, table_of

UNFINISHED = ".writing"
TOPIC_ID = b"topic_id"
ROWS_A_GROUP = 10_000
"""A reader that merges partitions holds one row group of each."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Let one archiver at a time write to a folder, made if it is not there; the system frees the lock of a dead one.

    Raises
    ------
    ArchiveError
        When another archiver has it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = (folder / ".lock").open("w")
    except OSError as error:
        raise ArchiveError(f"{folder}: cannot be written to ({error}); name another folder (--out)") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise ArchiveError(
                f"{folder}: another archiver writes to it; stop that one, or name another folder (--out)"
            ) from error
        yield


def write_segment(folder: Path, records: Sequence[ArchivedRecord], topic_id: str) -> Segment:
    """Write one file; it is on the disk under its name when this returns.

    Parameters
    ----------
    folder
        Of the archive.
    records
        At least one; of one partition and one day, in the order of their offsets.
    topic_id
        The broker's id of the topic: it tells a topic that was made anew from the one archived before.

    Raises
    ------
    ArchiveError
        When the disk does not take it; what was there before stays as it was.
    """
    first, last = records[0], records[-1]
    segment = Segment(first.topic, first.partition, first.offset, last.offset, day_of(first.appended_at_ms))
    path = segment.path(folder)
    unfinished = path.with_name(f".{path.name}{UNFINISHED}")
    table = table_of(records).replace_schema_metadata({TOPIC_ID: topic_id.encode()})
    try:
        _make_folder(path.parent)
        with unfinished.open("wb") as file:
            pq.write_table(table, file, compression="zstd", row_group_size=ROWS_A_GROUP)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
        _sync_folder(path.parent)
    except OSError as error:
        raise ArchiveError(
            f"{path}: could not be written ({error}); mend the disk and start the archiver again: it goes on where the "
            "archive ends"
        ) from error
    return segment


def remove_unfinished(folder: Path) -> int:
    """Remove what a killed archiver has left half written; returns how many files that were."""
    left = list(folder.glob(f"topic=*/day=*/.*{UNFINISHED}"))
    for path in left:
        path.unlink()
    return len(left)


def topic_id_of(folder: Path, segment: Segment) -> str:
    """Id of the topic that a file was written from."""
    path = segment.path(folder)
    try:
        found = (pq.read_schema(path).metadata or {}).get(TOPIC_ID)
    except (OSError, ValueError) as error:  # Arrow's errors are both
        raise ArchiveError(f"{path}: cannot be read ({error}); restore it from a copy") from error
    if found is None:
        raise ArchiveError(
            f"{path}: saw no topic id in it, expected a file of the archiver; move it out of the archive"
        )
    return str(found.decode())


def _make_folder(path: Path) -> None:
    """Make a folder and those above it, each of which is on the disk when this returns."""
    missing = [each for each in (path, *path.parents) if not each.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for each in missing:
        _sync_folder(each.parent)


def _sync_folder(path: Path) -> None:
    """Bring a folder's names to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
