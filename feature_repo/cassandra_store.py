"""Feast's Cassandra store, packed: one row an entity and view, with a write timestamp and a time to live.

In: what Feast's provider hands to an online store. Out: one INSERT a row instead of one a feature, and reads
that say so when Cassandra did not answer. Reasons and figures: docs/decisions, packed feature rows.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, Literal

from cassandra import ConsistencyLevel, DriverException
from cassandra.cluster import NoHostAvailable, ResultSet, Session
from cassandra.query import BoundStatement, PreparedStatement
from feast import Entity, FeatureView, RepoConfig
from feast.infra.key_encoding_utils import serialize_entity_key
from feast.infra.online_stores.cassandra_online_store.cassandra_online_store import (
    CassandraOnlineStore,
    CassandraOnlineStoreConfig,
)
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value
from pydantic import StrictInt, StrictStr, model_validator

from feature_repo.cassandra_cluster import (
    connect,
    drop_table,
    ensure_keyspace,
    ensure_table,
    full_name,
    split_addresses,
)
from feature_repo.packed import PackedFeatures

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_INSERT = "INSERT INTO {table} (entity_key, features, event_ts, created_ts) VALUES (?, ?, ?, ?) USING TIMESTAMP ?"
_SELECT = "SELECT features, event_ts FROM {table} WHERE entity_key = ?"

FeatureRows = Sequence[tuple[EntityKey, Mapping[str, Value], datetime, datetime | None]]


class PackedCassandraOnlineStoreConfig(CassandraOnlineStoreConfig):  # type: ignore[misc]  # untyped
    """Settings of `PackedCassandraOnlineStore`: those of Feast's Cassandra store, and three more.

    `hosts` may say `host:port`, or several with commas between; all hosts of a cluster share one port.
    """

    type: Literal["feature_repo.cassandra_store.PackedCassandraOnlineStore"] = (
        "feature_repo.cassandra_store.PackedCassandraOnlineStore"
    )

    keyspace: StrictStr = "lastclick"
    """Keyspace of the tables; made when it does not exist."""

    replication_factor: StrictInt = 1
    """Copies of each row in each datacenter, used only when the keyspace is made here."""

    consistency: Literal["LOCAL_ONE", "LOCAL_QUORUM"] = "LOCAL_QUORUM"
    """Replicas that must answer; with quorums a read sees every write acknowledged before it."""

    write_concurrency: StrictInt = 256
    """Rows of a batch under way at once: a micro-batch of the usual size goes out whole."""

    read_concurrency: StrictInt = 256
    """Reads of a batch under way at once."""

    @model_validator(mode="before")
    @classmethod
    def _split_hosts(cls, settings: dict[str, Any]) -> dict[str, Any]:
        if not settings.get("hosts"):
            return settings
        hosts, port = split_addresses(settings["hosts"], settings.get("port"))
        return {**settings, "hosts": hosts, "port": port}


class PackedCassandraOnlineStore(CassandraOnlineStore):  # type: ignore[misc]  # untyped
    """One row an entity and view: `entity_key`, all features in one blob, event and created time.

    The write timestamp is `created_ts` in microseconds when given, else the event time: of two writes of one
    entity the larger timestamp stays, in whatever order they arrive. Rows expire one view TTL after they were
    last written.
    """

    _session: Any

    def __init__(self) -> None:
        # Feast keeps these on the class, where stores of different clusters would share them.
        self._prepared_statements: dict[str, PreparedStatement] = {}
        self._connecting = threading.Lock()
        self._borrowed = False

    def use_session(self, session: Session, keyspace: str) -> None:
        """Use the caller's session instead of opening one; `close` leaves it open."""
        self._session, self._keyspace, self._borrowed = session, keyspace, True

    def close(self) -> None:
        """Close the connection, unless it is the caller's. Closing twice does nothing."""
        session, self._session = self._session, None
        self._prepared_statements.clear()
        if session is not None and not self._borrowed:
            session.cluster.shutdown()

    def online_write_batch(
        self,
        config: RepoConfig,
        table: FeatureView,
        data: FeatureRows,
        progress: Callable[[int], Any] | None,
    ) -> None:
        """Write one row an entity; see `OnlineStore.online_write_batch` of Feast.

        Raises
        ------
        cassandra.DriverException, cassandra.cluster.NoHostAvailable
            The driver's error of the first row that was not written. Writing the batch again is safe.
        """
        self._execute(config, self.bind(config, table, data), config.online_store.write_concurrency)
        if progress:
            progress(len(data))

    def bind(self, config: RepoConfig, table: FeatureView, data: FeatureRows) -> list[BoundStatement]:
        """Statements that write the rows as `online_write_batch` does, for a caller that batches them with its own.

        The partition key of an entity with one string key is that string, so rows of one user in other tables of the
        keyspace can be written with its features in one single-partition batch.
        """
        statement = self._prepared(config, table, _INSERT)
        return [
            statement.bind(
                (
                    self._key(config, key),
                    PackedFeatures.of(values).packed,
                    event_ts,
                    created_ts,
                    _microseconds(event_ts if created_ts is None else created_ts),
                )
            )
            for key, values, event_ts, created_ts in data
        ]

    def online_read(
        self,
        config: RepoConfig,
        table: FeatureView,
        entity_keys: Sequence[EntityKey],
        requested_features: Sequence[str] | None = None,
    ) -> list[tuple[datetime | None, dict[str, Value] | None]]:
        """Read one row an entity, in the order of the keys; see `OnlineStore.online_read` of Feast.

        Returns
        -------
        list
            Event time (UTC) and the requested features that the row has; (None, None) for an entity without
            a row.

        Raises
        ------
        cassandra.DriverException, cassandra.cluster.NoHostAvailable
            When Cassandra did not answer: unlike with Feast's own store, an outage never looks like an entity
            without features.
        """
        statement = self._prepared(config, table, _SELECT)
        reads = [statement.bind((self._key(config, key),)) for key in entity_keys]
        answers = self._execute(config, reads, config.online_store.read_concurrency)
        return [_read(answer.one(), requested_features) for answer in answers]

    def update(
        self,
        config: RepoConfig,
        tables_to_delete: Sequence[FeatureView],
        tables_to_keep: Sequence[FeatureView],
        entities_to_delete: Sequence[Entity],
        entities_to_keep: Sequence[Entity],
        partial: bool,
    ) -> None:
        """Make the keyspace and tables that are missing, follow changed TTLs, drop `tables_to_delete`."""
        factor = getattr(config.online_store, "replication_factor", 1)
        ensure_keyspace(self._get_session(config), self._keyspace, factor)
        super().update(config, tables_to_delete, tables_to_keep, entities_to_delete, entities_to_keep, partial)

    def _create_table(self, config: RepoConfig, project: str, table: FeatureView) -> None:
        ttl_s = int(table.ttl.total_seconds()) if table.ttl else 0
        ensure_table(self._get_session(config), self._keyspace, _table_name(project, table), ttl_s)

    def _drop_table(self, config: RepoConfig, project: str, table: FeatureView) -> None:
        drop_table(self._get_session(config), self._keyspace, _table_name(project, table))
        self._prepared_statements.clear()

    def _get_session(self, config: RepoConfig) -> Session:
        """Open the connection once, without a keyspace so that `update` can make it."""
        with self._connecting:
            settings = config.online_store
            special = settings.datacenters or settings.secure_bundle_path or settings.load_balancing
            if self._session is None and settings.hosts and not special:
                self._session = connect(
                    settings.hosts,
                    settings.port or 9042,
                    login=(settings.username, settings.password) if settings.username else None,
                    request_timeout_s=settings.request_timeout or 10.0,
                    protocol_version=settings.protocol_version or 4,
                )
                self._keyspace, self._borrowed = settings.keyspace, False
            return super()._get_session(config)

    def _execute(self, config: RepoConfig, statements: Iterable[BoundStatement], concurrency: int) -> list[ResultSet]:
        """Run statements, `concurrency` of them at once, and look at every answer.

        Sent together and awaited together rather than by the driver's `execute_concurrent_with_args`, which sends
        the next row from the callback of the last: twice the rows a second on a busy machine.
        """
        session = self._get_session(config)
        answers: list[ResultSet] = []
        waiting = iter(statements)
        while sent := list(islice(waiting, concurrency)):
            futures = [session.execute_async(statement) for statement in sent]
            failures: list[Exception] = []
            for future in futures:
                try:
                    answers.append(future.result())
                except (DriverException, NoHostAvailable) as error:
                    failures.append(error)
            if failures:
                cql = sent[0].prepared_statement.query_string
                failures[0].add_note(f"{len(failures)} of {len(futures)} requests failed so: {cql}")
                raise failures[0]
        return answers

    def _prepared(self, config: RepoConfig, table: FeatureView, cql: str) -> PreparedStatement:
        session = self._get_session(config)
        cql = cql.format(table=full_name(self._keyspace, _table_name(config.project, table)))
        statement = self._prepared_statements.get(cql)
        if statement is None:
            statement = session.prepare(cql)
            # Writes carry their own timestamp, so the driver may repeat them.
            statement.is_idempotent = True
            level = getattr(config.online_store, "consistency", "LOCAL_QUORUM")
            statement.consistency_level = ConsistencyLevel.name_to_value[level]
            self._prepared_statements[cql] = statement
        return statement

    @staticmethod
    def _key(config: RepoConfig, key: EntityKey) -> bytes:
        if len(key.join_keys) == 1 and key.entity_values[0].WhichOneof("val") == "string_val":
            # A view has one kind of entity: the string alone tells its rows apart.
            return str(key.entity_values[0].string_val).encode()
        version = config.entity_key_serialization_version
        serialised: bytes = serialize_entity_key(key, entity_key_serialization_version=version)
        return serialised


def _table_name(project: str, table: FeatureView) -> str:
    return f"{project}_{table.name}".lower().replace("-", "_")


def _microseconds(moment: datetime) -> int:
    """Microseconds since the epoch, exact; a time without a zone is UTC, as Feast has it."""
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - EPOCH) // _MICROSECOND


def _read(row: Any, requested_features: Sequence[str] | None) -> tuple[datetime | None, dict[str, Value] | None]:
    if row is None or row.features is None:
        return None, None
    features = PackedFeatures(row.features)
    names = features if requested_features is None else requested_features
    found = {name: features[name] for name in names if name in features}
    return row.event_ts.replace(tzinfo=UTC), found or None
