"""Who may write and acknowledge for a partition: assignments in, fences and timestamps for Cassandra's rows out.

Whoever is given a partition draws a fence for it, later than all fences before. Rows are stamped above the fence, so a
former owner that is late loses; and nothing is acknowledged unless the fence is still the newest, so a former owner
whose rows have lost does not commit their records either. Wall clocks may jump, and the offsets that a state has taken
in of several topics are in no order: neither decides anything. Reasons: docs/decisions/0010.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping

from cassandra import ConsistencyLevel
from cassandra.cluster import Session
from cassandra.query import BatchStatement, PreparedStatement

READ_EPOCH = "SELECT topic_ids, epoch_us FROM {keyspace}.stream_epochs WHERE topics = 'users'"
FIRST_EPOCH = """INSERT INTO {keyspace}.stream_epochs (topics, topic_ids, epoch_us)
    VALUES ('users', ?, ?) IF NOT EXISTS"""
NEXT_EPOCH = """UPDATE {keyspace}.stream_epochs SET topic_ids = ?, epoch_us = ?
    WHERE topics = 'users' IF topic_ids = ?"""
READ_FENCES = "SELECT partition_number, fence_us FROM {keyspace}.fences WHERE topics = 'users'"
FIRST_FENCE = """INSERT INTO {keyspace}.fences (topics, partition_number, fence_us)
    VALUES ('users', ?, ?) IF NOT EXISTS"""
MOVE_FENCE = """UPDATE {keyspace}.fences SET fence_us = ?
    WHERE topics = 'users' AND partition_number = ? IF fence_us = ?"""

FENCE_STEP_US = 60_000_000
"""Least distance of two fences. Stamps go up by one a batch, so the clock moves on faster than they do."""

ATTEMPTS = 50
"""Workers that draw at the same moment make each other try again."""


class FenceError(RuntimeError):
    """A partition has gone to another worker, or no fence could be drawn: says which, and what happens next."""


class Fences:
    """The fences that all workers share, one for each partition number, changed by compare-and-set. Calls block."""

    def __init__(self, session: Session, keyspace: str) -> None:
        self._session, self._keyspace = session, keyspace
        self._read_epoch = self._prepare(READ_EPOCH, ConsistencyLevel.SERIAL)
        self._first_epoch, self._next_epoch = self._prepare(FIRST_EPOCH), self._prepare(NEXT_EPOCH)
        self._read_fences_to_draw = self._prepare(READ_FENCES, ConsistencyLevel.SERIAL)
        self._read_fences = self._prepare(READ_FENCES)
        self._first_fence, self._move_fence = self._prepare(FIRST_FENCE), self._prepare(MOVE_FENCE)

    def epoch_us(self, topic_ids: str) -> int:
        """Start of this incarnation of the topics, microseconds since the epoch: no write in it is older.

        States remember offsets. A topic that was deleted and made again starts at offset 0, so its events would look
        old: states written before the new incarnation's start forget their offsets.
        """
        for _attempt in range(ATTEMPTS):
            row = self._session.execute(self._read_epoch).one()
            if row is not None and row.topic_ids == topic_ids:
                return int(row.epoch_us)
            start_us = max(_now_us(), max(self.newest().values(), default=0) + FENCE_STEP_US)
            if row is None:
                self._session.execute(self._first_epoch, (topic_ids, start_us))
            else:
                self._session.execute(self._next_epoch, (topic_ids, start_us, row.topic_ids))
        raise FenceError(
            f"stream_epochs: {ATTEMPTS} tries to agree on the topics' incarnation failed; start the worker again"
        )

    def draw(self, partitions: Collection[int], above_us: int) -> int:
        """Draw one fence for some partitions, above all fences drawn before and above ``above_us``, microseconds."""
        for _attempt in range(ATTEMPTS):
            before = {r.partition_number: r.fence_us for r in self._session.execute(self._read_fences_to_draw)}
            fence_us: int = max(_now_us(), max([above_us, *before.values()]) + FENCE_STEP_US)
            # One Cassandra partition: all of it is applied, or nothing.
            batch = BatchStatement(consistency_level=ConsistencyLevel.LOCAL_QUORUM)
            for partition in partitions:
                if partition in before:
                    batch.add(self._move_fence, (fence_us, partition, before[partition]))
                else:
                    batch.add(self._first_fence, (partition, fence_us))
            if self._session.execute(batch).one()[0]:
                return fence_us
        raise FenceError(f"fences: {ATTEMPTS} tries to draw one failed; start the worker again")

    def newest(self) -> dict[int, int]:
        """Newest fence of each partition that ever had one, microseconds."""
        return {row.partition_number: row.fence_us for row in self._session.execute(self._read_fences)}

    def _prepare(self, statement: str, level: int = ConsistencyLevel.LOCAL_QUORUM) -> PreparedStatement:
        prepared = self._session.prepare(statement.format(keyspace=self._keyspace))
        prepared.consistency_level = level
        return prepared


class Stamps:
    """Timestamps of one worker's writes, for each partition: later than those before, and than all former owners'."""

    def __init__(self) -> None:
        self._fences: dict[int, int] = {}
        self._count = 0
        self._lock = threading.Lock()

    def renew(self, partitions: Collection[int], fence_us: int) -> None:
        """Go on from a newly drawn fence, microseconds since the epoch."""
        with self._lock:
            self._fences.update(dict.fromkeys(partitions, fence_us))

    def fences(self, partitions: Collection[int]) -> dict[int, int]:
        """Fences of some partitions.

        Raises
        ------
        FenceError
            When none was drawn for one of them.
        """
        with self._lock:
            missing = sorted(set(partitions) - self._fences.keys())
            if missing:
                raise FenceError(
                    f"partitions {missing}: saw no fence of theirs, expected one drawn at their assignment"
                )
            return {partition: self._fences[partition] for partition in partitions}

    def known(self, partitions: Collection[int]) -> dict[int, int]:
        """Fences of those partitions that have one."""
        with self._lock:
            return {each: self._fences[each] for each in partitions if each in self._fences}

    def next_count(self) -> int:
        """Number of the next batch; a row's stamp is its partition's fence plus this."""
        with self._lock:
            self._count += 1
            return self._count


def lost(fences: Mapping[int, int], newest: Mapping[int, int]) -> list[int]:
    """Partitions whose newest fence is not the one given."""
    return sorted(partition for partition, fence_us in fences.items() if newest.get(partition) != fence_us)


def _now_us() -> int:
    return time.time_ns() // 1000
