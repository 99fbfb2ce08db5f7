"""Which of two workers' writes is the newer: topics and changes of ownership in, timestamps for Cassandra out.

Wall clocks jump and differ, and the offsets that a state has taken in of several topics are in no order: a former owner
of a partition may have taken in more of one topic and less of another. So writes are ordered by who was given the
partition last, and then by the order in which that worker made them. Reasons: docs/decisions/0010.
"""

from __future__ import annotations

import threading
import time

from cassandra import ConsistencyLevel
from cassandra.cluster import Session
from cassandra.query import PreparedStatement

READ_EPOCH = "SELECT topic_ids, epoch_us, fence_us FROM {keyspace}.stream_epochs WHERE topics = 'users'"
FIRST_EPOCH = """INSERT INTO {keyspace}.stream_epochs (topics, topic_ids, epoch_us, fence_us)
    VALUES ('users', ?, ?, ?) IF NOT EXISTS"""
NEXT_EPOCH = """UPDATE {keyspace}.stream_epochs SET topic_ids = ?, epoch_us = ?, fence_us = ?
    WHERE topics = 'users' IF topic_ids = ?"""
MOVE_FENCE = "UPDATE {keyspace}.stream_epochs SET fence_us = ? WHERE topics = 'users' IF fence_us = ?"

FENCE_STEP_US = 60_000_000
"""Least distance of two fences. Timestamps go up by one a batch, so the clock moves on faster than they do."""

ATTEMPTS = 20
"""Workers that draw at the same moment make each other try again."""


class FenceError(RuntimeError):
    """No fence could be drawn: says why, and what happens next."""


class Fences:
    """The row of ``stream_epochs`` that all workers share, changed by compare-and-set. Calls block."""

    def __init__(self, session: Session, keyspace: str) -> None:
        self._session = session
        self._read_epoch, self._first_epoch = self._prepare(READ_EPOCH, keyspace), self._prepare(FIRST_EPOCH, keyspace)
        self._next_epoch, self._move_fence = self._prepare(NEXT_EPOCH, keyspace), self._prepare(MOVE_FENCE, keyspace)

    def epoch_us(self, topic_ids: str) -> int:
        """Start of this incarnation of the topics, microseconds since the epoch: no write in it is older.

        States remember offsets. A topic that was deleted and made again starts at offset 0, so its events would look
        old: states written before the new incarnation's start forget their offsets.
        """
        for _attempt in range(ATTEMPTS):
            row = self._session.execute(self._read_epoch).one()
            if row is not None and row.topic_ids == topic_ids:
                return int(row.epoch_us)
            if row is None:
                now_us = _now_us()
                self._session.execute(self._first_epoch, (topic_ids, now_us, now_us))
            else:
                start_us = max(_now_us(), row.fence_us + FENCE_STEP_US)
                self._session.execute(self._next_epoch, (topic_ids, start_us, start_us, row.topic_ids))
        raise FenceError(
            f"stream_epochs: {ATTEMPTS} tries to agree on the topics' incarnation failed; start the worker again"
        )

    def next_fence_us(self, above_us: int) -> int:
        """Draw a fence: a timestamp above those of all writes under fences drawn before, and above ``above_us``.

        A worker draws one whenever partitions are assigned to it. What a former owner of these partitions still writes
        is older than all that is written from now on, whatever the machines' clocks say.
        """
        for _attempt in range(ATTEMPTS):
            before_us = self._session.execute(self._read_epoch).one().fence_us
            fence_us: int = max(_now_us(), max(before_us, above_us) + FENCE_STEP_US)
            if self._session.execute(self._move_fence, (fence_us, before_us)).one()[0]:
                return fence_us
        raise FenceError(f"stream_epochs: {ATTEMPTS} tries to draw a fence failed; start the worker again")

    def _prepare(self, statement: str, keyspace: str) -> PreparedStatement:
        """Prepare a step of a compare-and-set: reads see what others have set."""
        prepared = self._session.prepare(statement.format(keyspace=keyspace))
        if statement.startswith("SELECT"):
            prepared.consistency_level = ConsistencyLevel.SERIAL
        return prepared


class Stamps:
    """Timestamps of one worker's writes: each later than those before it, and than all under fences drawn before."""

    def __init__(self) -> None:
        self.newest_us = 0
        self._lock = threading.Lock()

    def renew(self, fence_us: int) -> None:
        """Go on from a newly drawn fence, microseconds since the epoch."""
        with self._lock:
            self.newest_us = max(self.newest_us, fence_us)

    def next_us(self) -> int:
        """Draw the next stamp, microseconds since the epoch.

        Raises
        ------
        RuntimeError
            When no fence was drawn yet.
        """
        with self._lock:
            if not self.newest_us:
                raise RuntimeError("a write was about to be stamped before a fence was drawn; draw one first")
            self.newest_us += 1
            return self.newest_us


def _now_us() -> int:
    return time.time_ns() // 1000
