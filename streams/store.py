"""The Cassandra tables of the flow: states and lists in, rows out; and back.

Every write of a user carries a timestamp above the fence that its worker drew when it was given the partition
(`streams.fence`), so a former owner that is late loses, however slow it was. State, list and features of a user share
their partition key, so they are written in one batch that becomes one mutation: all of it is there, or none. Calls
block: the flow makes them from a thread.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

from cassandra import ConsistencyLevel, DriverException
from cassandra.cluster import NoHostAvailable, ResultSet, Session
from cassandra.query import BatchStatement, BatchType, BoundStatement, PreparedStatement, Statement

from feature_repo.cassandra_cluster import connect, split_addresses
from streams.settings import Settings

DEFAULT_PORT = 9042
PROTOCOL_VERSION = 4
"""The driver computes the checksums of protocol 5 in Python."""

REQUEST_TIMEOUT_S = 10.0
CONCURRENCY = 64
"""Statements in flight at once: past this the node queues them and latency only grows."""

SCHEMA = (
    """CREATE KEYSPACE IF NOT EXISTS {keyspace}
       WITH replication = {{'class': 'NetworkTopologyStrategy', 'replication_factor': {replication_factor}}}""",
    "CREATE TYPE IF NOT EXISTS {keyspace}.recommended_item (item_id text, score float, reason text)",
    # The storefront's contract: one row a user and scene, the whole list in one frozen value.
    """CREATE TABLE IF NOT EXISTS {keyspace}.recommendations (
         user_id text, scene text, list_id text, items frozen<list<frozen<recommended_item>>>,
         caused_by text, event_at_ms bigint, written_at_ms bigint, model_version text, experiment_arm text,
         PRIMARY KEY (user_id, scene))
       WITH compaction = {{'class': 'UnifiedCompactionStrategy'}}""",
    # Lists that belong to no user: popular now, by category, and so on.
    """CREATE TABLE IF NOT EXISTS {keyspace}.item_lists (
         scene text, key text, list_id text, items frozen<list<frozen<recommended_item>>>,
         written_at_ms bigint, PRIMARY KEY ((scene, key)))
       WITH compaction = {{'class': 'UnifiedCompactionStrategy'}}""",
    """CREATE TABLE IF NOT EXISTS {keyspace}.user_state (
         user_id text PRIMARY KEY, state blob, triggers blob, caused_by text)
       WITH compaction = {{'class': 'UnifiedCompactionStrategy'}}""",
    # A table made by a version that did not have the column yet.
    "ALTER TABLE {keyspace}.user_state ADD IF NOT EXISTS caused_by text",
    # One row: which incarnation of the topics the offsets inside the states belong to.
    """CREATE TABLE IF NOT EXISTS {keyspace}.stream_epochs (
         topics text PRIMARY KEY, topic_ids text, epoch_us bigint)""",
    # Who was given each partition last (`streams.fence`).
    """CREATE TABLE IF NOT EXISTS {keyspace}.fences (
         topics text, partition_number int, fence_us bigint, PRIMARY KEY (topics, partition_number))""",
    # Written to learn how far the disk is (`streams.durability`).
    "CREATE TABLE IF NOT EXISTS {keyspace}.sync_probes (probe text PRIMARY KEY)",
)

READ_STATE = """SELECT state, triggers, caused_by, WRITETIME(state) AS write_us FROM {keyspace}.user_state
    WHERE user_id = ?"""
WRITE_STATE = """INSERT INTO {keyspace}.user_state (user_id, state, triggers, caused_by) VALUES (?, ?, ?, ?)
    USING TIMESTAMP ?"""
READ_CAUSE = "SELECT caused_by FROM {keyspace}.recommendations WHERE user_id = ? AND scene = ?"
READ_LIST = "SELECT * FROM {keyspace}.recommendations WHERE user_id = ? AND scene = ?"
WRITE_LIST = """INSERT INTO {keyspace}.recommendations (user_id, scene, list_id, items, caused_by, event_at_ms,
    written_at_ms, model_version, experiment_arm) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) USING TIMESTAMP ?"""
READ_ITEM_LIST = "SELECT * FROM {keyspace}.item_lists WHERE scene = ? AND key = ?"
WRITE_ITEM_LIST = """INSERT INTO {keyspace}.item_lists (scene, key, list_id, items, written_at_ms)
    VALUES (?, ?, ?, ?, ?) USING TIMESTAMP ?"""


class StoreError(RuntimeError):
    """Cassandra cannot be used: says what failed, where, and what to do."""


class RecommendedItem(NamedTuple):
    """One place of a list, as the frozen type ``recommended_item`` holds it."""

    item_id: str
    score: float
    reason: str


@dataclass(frozen=True)
class RecommendationList:
    """A user's list in one scene.

    ``event_at_ms`` is when its newest event happened, ``written_at_ms`` when the list was written, both in
    milliseconds since the epoch; ``caused_by`` is that event's id.
    """

    user_id: str
    scene: str
    list_id: str
    items: tuple[RecommendedItem, ...]
    caused_by: str
    event_at_ms: int
    written_at_ms: int
    model_version: str
    experiment_arm: str = "default"


@dataclass(frozen=True)
class ItemList:
    """A list that belongs to no user, of what ``key`` names in one scene; ``write_us`` is the write's timestamp."""

    scene: str
    key: str
    list_id: str
    items: tuple[RecommendedItem, ...]
    write_us: int


@dataclass(frozen=True)
class StoredState:
    """A user's row in ``user_state``: bytes of the state, and of what the triggers remember."""

    user_id: str
    state: bytes
    triggers: bytes
    write_us: int
    """Timestamp of the write, microseconds."""

    caused_by: str = ""
    """Event that was the last to renew the list; empty when none was. The list should say the same."""


@dataclass(frozen=True)
class UserWrite:
    """What a batch of events leaves behind of one user, under the timestamp of the state.

    ``features`` is a statement of the feature store; ``recommended`` is None when no event was to renew the list.
    """

    state: StoredState
    features: BoundStatement
    recommended: RecommendationList | None = None


class Store:
    """Reads and writes of the flow's tables through one session with prepared statements."""

    def __init__(self, settings: Settings) -> None:
        self._session = _open_session(settings)
        for statement in SCHEMA:
            self._session.execute(
                statement.format(keyspace=settings.keyspace, replication_factor=settings.replication_factor)
            )
        self.keyspace = settings.keyspace
        prepare = self._prepare
        self._read_state, self._write_state = prepare(READ_STATE), prepare(WRITE_STATE)
        self._read_cause = prepare(READ_CAUSE)
        self._read_list, self._write_list = prepare(READ_LIST), prepare(WRITE_LIST)
        self._read_item_list, self._write_item_list = prepare(READ_ITEM_LIST), prepare(WRITE_ITEM_LIST)

    @property
    def session(self) -> Session:
        """The driver's session, for reads that this class has no method for."""
        return self._session

    def read_states(self, user_ids: Sequence[str]) -> dict[str, StoredState]:
        """States of the users that have one, read side by side."""
        rows = self._all([self._read_state.bind((user_id,)) for user_id in user_ids])
        return {
            user_id: StoredState(user_id, row.state, row.triggers or b"", row.write_us, row.caused_by or "")
            for user_id, result in zip(user_ids, rows, strict=True)
            for row in result
            if row.state is not None
        }

    def read_causes(self, user_ids: Sequence[str], scene: str) -> dict[str, str]:
        """Event that caused the list of each user who has one, read side by side."""
        rows = self._all([self._read_cause.bind((user_id, scene)) for user_id in user_ids])
        return {user_id: row.caused_by for user_id, result in zip(user_ids, rows, strict=True) for row in result}

    def write(self, writes: Sequence[UserWrite]) -> None:
        """Write users side by side, one mutation each; writing them again changes nothing."""
        self._all([self.statement(write) for write in writes])

    def statement(self, write: UserWrite) -> BatchStatement:
        """Bind what is written of a user, as one batch in one partition."""
        state, entry = write.state, write.recommended
        # Unlogged: one partition, one mutation, so there is nothing for a batch log to keep together.
        batch = BatchStatement(BatchType.UNLOGGED, consistency_level=ConsistencyLevel.LOCAL_QUORUM)
        batch.is_idempotent = True
        batch.add(self._write_state, (state.user_id, state.state, state.triggers, state.caused_by, state.write_us))
        batch.add(write.features)
        if entry is not None:
            batch.add(
                self._write_list,
                (
                    entry.user_id,
                    entry.scene,
                    entry.list_id,
                    entry.items,
                    entry.caused_by,
                    entry.event_at_ms,
                    entry.written_at_ms,
                    entry.model_version,
                    entry.experiment_arm,
                    state.write_us,
                ),
            )
        return batch

    def read_list(self, user_id: str, scene: str = "home") -> RecommendationList | None:
        """The user's list in a scene, or None."""
        row = self._session.execute(self._read_list, (user_id, scene)).one()
        if row is None:
            return None
        return RecommendationList(
            user_id=row.user_id,
            scene=row.scene,
            list_id=row.list_id,
            items=tuple(RecommendedItem(item.item_id, item.score, item.reason) for item in row.items or ()),
            caused_by=row.caused_by,
            event_at_ms=row.event_at_ms,
            written_at_ms=row.written_at_ms,
            model_version=row.model_version,
            experiment_arm=row.experiment_arm,
        )

    def write_item_lists(self, lists: Sequence[ItemList]) -> None:
        """Write lists that belong to no user, side by side."""
        now_ms = time.time_ns() // 1_000_000
        self._all(
            [
                self._write_item_list.bind((each.scene, each.key, each.list_id, each.items, now_ms, each.write_us))
                for each in lists
            ]
        )

    def read_item_list(self, scene: str, key: str = "") -> tuple[RecommendedItem, ...]:
        """Items of a list that belongs to no user, empty when there is none."""
        row = self._session.execute(self._read_item_list, (scene, key)).one()
        return tuple(RecommendedItem(i.item_id, i.score, i.reason) for i in row.items or ()) if row else ()

    def close(self) -> None:
        """End the session."""
        self._session.cluster.shutdown()

    def _prepare(self, statement: str) -> PreparedStatement:
        prepared = self._session.prepare(statement.format(keyspace=self.keyspace))
        # Every write carries its own timestamp, so the driver may repeat it.
        prepared.is_idempotent = True
        prepared.consistency_level = ConsistencyLevel.LOCAL_QUORUM
        return prepared

    def _all(self, statements: Sequence[Statement]) -> list[ResultSet]:
        """Execute statements side by side; the first failure is raised after all have ended.

        Sent with execute_async and awaited: the driver's execute_concurrent does its work in callbacks on the event
        thread, at less than half the rate.
        """
        results: list[ResultSet] = []
        waiting = iter(statements)
        while futures := [self._session.execute_async(statement) for statement in islice(waiting, CONCURRENCY)]:
            failures: list[Exception] = []
            for future in futures:
                try:
                    results.append(future.result())
                except (DriverException, NoHostAvailable) as error:
                    failures.append(error)
            if failures:
                raise failures[0]
        return results


def _open_session(settings: Settings) -> Session:
    hosts, port = split_addresses([settings.cassandra])
    try:
        return connect(hosts, port or DEFAULT_PORT, None, REQUEST_TIMEOUT_S, PROTOCOL_VERSION)
    except (DriverException, NoHostAvailable) as error:
        raise StoreError(
            f"Cassandra does not answer on {settings.cassandra}: {error}. Start it (`lastclick up`) or set "
            "LASTCLICK_CASSANDRA to a cluster that runs"
        ) from error
