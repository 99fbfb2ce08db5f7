"""How an archive's files are named: topic, day, partition and offsets in; a path out, and back.

    DIR/topic=clicks/day=2026-11-22/clicks-00003-00000000000000000100-00000000000000000199.parquet

The names are the truth of what is archived: whoever goes on asks nothing else where to begin.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

NAME = re.compile(r"(?P<topic>.+)-(?P<partition>\d{5,})-(?P<first>\d{20})-(?P<last>\d{20})\.parquet")


class ArchiveError(Exception):
    """An archive cannot be written or read: says which file or topic, what was seen and what to do."""


@dataclass(frozen=True)
class Segment:
    """One file: the records of a partition from offset ``first`` to ``last``, all appended on one day (UTC).

    Offsets in between may be missing where the topic has none: a compacted topic drops records.
    """

    topic: str
    partition: int
    first: int
    last: int
    day: date

    def path(self, folder: Path) -> Path:
        """Where the file stands in the archive ``folder``."""
        name = f"{self.topic}-{self.partition:05d}-{self.first:020d}-{self.last:020d}.parquet"
        return folder / f"topic={self.topic}" / f"day={self.day.isoformat()}" / name


def day_of(appended_at_ms: int) -> date:
    """Day (UTC) on which the broker appended a record, from its time in ms since the epoch."""
    return datetime.fromtimestamp(appended_at_ms / 1000, UTC).date()


def archived_topics(folder: Path) -> list[str]:
    """Names of the topics that the archive has files of."""
    return sorted(path.name.removeprefix("topic=") for path in folder.glob("topic=*") if path.is_dir())


def find_segments(folder: Path, topic: str) -> dict[int, list[Segment]]:
    """Segments of a topic by partition, in the order of their offsets; none when the archive does not know the topic.

    Raises
    ------
    ArchiveError
        When a file is not the archive's, or two files hold the same offsets.
    """
    found: dict[int, list[Segment]] = {}
    for path in folder.glob(f"topic={topic}/day=*/*.parquet"):
        segment = _segment_at(folder, path)
        found.setdefault(segment.partition, []).append(segment)
    for segments in found.values():
        segments.sort(key=lambda segment: segment.first)
        _check_apart(folder, segments)
    return dict(sorted(found.items()))


def _segment_at(folder: Path, path: Path) -> Segment:
    parts = NAME.fullmatch(path.name)
    if parts is not None:
        day = path.parent.name.removeprefix("day=")
        try:
            segment = Segment(
                parts["topic"],
                int(parts["partition"]),
                int(parts["first"]),
                int(parts["last"]),
                date.fromisoformat(day),
            )
        except ValueError:
            segment = None
        if segment is not None and segment.path(folder) == path and segment.first <= segment.last:
            return segment
    raise ArchiveError(
        f"{path}: saw a file that the archiver has not named, expected <topic>-<partition>-<first offset>-<last "
        "offset>.parquet below the topic's and the day's folder; move it out of the archive"
    )


def _check_apart(folder: Path, segments: Iterable[Segment]) -> None:
    before: Segment | None = None
    for segment in segments:
        if before is not None and segment.first <= before.last:
            raise ArchiveError(
                f"{segment.path(folder)}: saw offsets that {before.path(folder)} holds too, expected each offset "
                "once; was a file copied into the archive? Keep one of the two"
            )
        before = segment
