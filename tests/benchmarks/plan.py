"""A load, prepared: a source's events in, encoded records with their partitions and probes among them out.

A probe is an event of a user that only the benchmark knows. Its event_id ends in a number that grows with the plan, so
that a reader who sees a later one knows that the earlier one has been taken in too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from kafka.partitioner.default import murmur2

from feature_repo.events import Event, encode

PROBES_PER_S = 15
"""Few enough that reading their lists every 5 ms takes a tenth of a core."""

PROBE_USERS = 400
"""A probe user's next event comes after 25 s or more."""


class Planned(msgspec.Struct, frozen=True, array_like=True):
    """A record ready to be sent; ``probe`` is its number among the probes, 0 when it is none."""

    topic: str
    partition: int
    key: bytes
    value: bytes
    probe: int = 0
    user_id: str = ""


class Section(msgspec.Struct, frozen=True):
    """Records ``first`` to ``first + count`` of a plan, sent at ``rate`` a second; 0 is as fast as possible."""

    first: int
    count: int
    rate: float

    def due_s(self, place: int) -> float:
        """Seconds after the section's start at which its record number ``place`` is to be sent."""
        return place / self.rate if self.rate else 0.0

    def due_by(self, elapsed_s: float) -> int:
        """Records that are due once the section has run so long."""
        if not self.rate:
            return self.count
        return max(0, min(self.count, int(elapsed_s * self.rate + 1e-9) + 1))


class Plan:
    """Sections of one course of events; each section goes on where the one before it ended."""

    def __init__(self, events: Iterator[tuple[str, Event]], partitions: int) -> None:
        self._events, self._partitions = events, partitions
        self.records: list[Planned] = []
        self._probes = 0

    def section(self, rate: float, seconds: float, probed: bool = True) -> Section:
        """Prepare what ``rate`` events a second send in ``seconds``."""
        stride = max(2, round(rate / PROBES_PER_S)) if probed else 0
        return self._take(round(rate * seconds), rate, stride)

    def backlog(self, count: int) -> Section:
        """Prepare events that are sent as fast as possible, without probes."""
        return self._take(count, 0.0, 0)

    def _take(self, count: int, rate: float, stride: int) -> Section:
        first = len(self.records)
        for place in range(count):
            topic, event = next(self._events)
            number, user_id = 0, event.user_id
            if stride and place % stride == stride - 1:
                number = self._probes = self._probes + 1
                user_id = f"probe-{number % PROBE_USERS}"
                event = msgspec.structs.replace(event, user_id=user_id, event_id=f"probe-{number}")
            key = user_id.encode()
            partition = partition_of(key, self._partitions)
            self.records.append(Planned(topic, partition, key, encode(event), number, user_id if number else ""))
        return Section(first, count, rate)

    def write(self, path: Path) -> Path:
        """Write the records for the processes that send and look."""
        path.write_bytes(msgspec.msgpack.encode(self.records))
        return path


def read_plan(path: Path) -> list[Planned]:
    """Records of a plan, in order."""
    return msgspec.msgpack.decode(path.read_bytes(), type=list[Planned])


def partition_of(key: bytes, partitions: int) -> int:
    """Where Kafka's default partitioner puts a key."""
    return int((murmur2(key) & 0x7FFFFFFF) % partitions)


def probe_number(event_id: str | None) -> int:
    """Number of a probe by its event_id; 0 for any other event and for none."""
    return int(event_id[6:]) if event_id and event_id.startswith("probe-") else 0


def probes_of(records: Sequence[Planned], section: Section) -> list[tuple[int, Planned]]:
    """Probes of a section, each with its place in it."""
    stretch = records[section.first : section.first + section.count]
    return [(place, record) for place, record in enumerate(stretch) if record.probe]
