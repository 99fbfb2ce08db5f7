"""Records waiting to become files: records in; partitions that are due, and their records, out."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from kafka import TopicPartition

from feature_repo.archive.records import ArchivedRecord

MIB = 1024 * 1024
RECORD_BYTES = 300
"""What Python needs for a record beside its key and value."""


class RollingError(ValueError):
    """Limits that cannot work: says which, what was seen and what was expected."""


@dataclass(frozen=True)
class Limits:
    """When waiting records become a file."""

    seconds: float = 300.0
    """A partition's oldest record waits no longer than this for its file, however quiet the topic is."""

    file_bytes: int = 64 * MIB
    """A partition's records become a file when they have come to this size, keys and values as they are in memory."""

    memory_bytes: int = 256 * MIB
    """All waiting records together: beyond it, the partition with most of them is written."""

    def __post_init__(self) -> None:
        for name in ("seconds", "file_bytes", "memory_bytes"):
            if not getattr(self, name) > 0:
                raise RollingError(f"limits of the archiver: saw {name} {getattr(self, name)}, expected more than 0")


@dataclass
class _Waiting:
    """Records of one partition, their size, and when the first of them came."""

    since_s: float
    records: list[ArchivedRecord] = field(default_factory=list)
    size: int = 0


class Rolling:
    """Records of all partitions, each partition's in the order of its offsets."""

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits, self._clock = limits, clock
        self._waiting: dict[TopicPartition, _Waiting] = {}
        self.size = 0
        """Bytes of all waiting records."""

    def add(self, partition: TopicPartition, records: Sequence[ArchivedRecord]) -> None:
        """Let records wait behind those of their partition."""
        if not records:
            return
        waiting = self._waiting.setdefault(partition, _Waiting(self._clock()))
        size = sum(RECORD_BYTES + len(record.key or b"") + len(record.value or b"") for record in records)
        waiting.records.extend(records)
        waiting.size += size
        self.size += size

    def due(self) -> list[TopicPartition]:
        """Partitions whose records must become files now; as many of the largest as memory asks for."""
        oldest = self._clock() - self._limits.seconds
        due = {
            partition
            for partition, waiting in self._waiting.items()
            if waiting.size >= self._limits.file_bytes or waiting.since_s <= oldest
        }
        left = self.size - sum(self._waiting[partition].size for partition in due)
        others = sorted(self._waiting.keys() - due, key=lambda partition: self._waiting[partition].size)
        while left > self._limits.memory_bytes:
            due.add(others.pop())
            left = self.size - sum(self._waiting[partition].size for partition in due)
        return sorted(due)

    def partitions(self) -> Collection[TopicPartition]:
        """Partitions that have waiting records."""
        return sorted(self._waiting)

    def take(self, partition: TopicPartition) -> list[ArchivedRecord]:
        """Hand over all waiting records of a partition."""
        waiting = self._waiting.pop(partition)
        self.size -= waiting.size
        return waiting.records
