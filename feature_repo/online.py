"""Feature rows into Feast's online store, and back through Feast's own read.

In: feature rows with their entity, event time and logical write clock. Out: the values as
`get_online_features` gives them, by name. Everything here blocks: call it from one executor thread, never
from an event loop.
"""

from __future__ import annotations

from feature_repo import lean_feast  # noqa: F401

# isort: split
import copy
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
from cassandra.cluster import Session
from cassandra.query import BoundStatement
from feast import FeatureService, FeatureStore, FeatureView, RepoConfig
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value

from feature_repo import definitions
from feature_repo.cassandra_store import EPOCH, PackedCassandraOnlineStore
from feature_repo.declarations import FeatureRow
from feature_repo.packed import PackedFeatures, Packer
from feature_repo.registry import publish

FeatureValues = dict[str, float | str | None]
"""Feature name -> value, None for what is not stored; in declared order."""


@dataclass(frozen=True, slots=True)
class OnlineConfig:
    """Where the features live."""

    kind: Literal["cassandra", "sqlite"] = "cassandra"
    """Cassandra for any number of workers; SQLite for one process without servers."""

    address: str = "127.0.0.1:9042"
    """`host:port`, several of them separated by commas; for SQLite the path of the file."""

    keyspace: str = "lastclick"
    """Cassandra keyspace; `apply` makes it when it does not exist."""

    project: str = "lastclick"
    """Feast project; the tables are named `<project>_<view>`."""

    replication_factor: int = 1
    """Copies of each row in each datacenter, used only when the keyspace is made by `apply`."""

    ttl_s: int = int(definitions.TTL.total_seconds())
    """Seconds after its last write that a row expires; 0 keeps it for ever. SQLite keeps all of them."""

    archive: Path | None = None
    """Archive with the feature values of past moments, for `get_historical_features` of Feast's store; None leaves
    the definitions' own."""

    registry: Path | None = None
    """Where `apply` publishes a copy of the registry for other Feast programs; None publishes none.

    The definitions come from the code, so each process keeps a registry of its own in memory.
    """


@dataclass(frozen=True, slots=True)
class UserFeatureRow:
    """Features of one shopper, ready to be written."""

    user_id: str
    row: FeatureRow
    event_ms: int
    """Time of the newest event in the features, milliseconds since the epoch."""
    write_us: int | None = None
    """Logical clock of the shopper's state: of two writes the larger stays. None uses the event time.

    One entity must stay with one kind of clock, else one kind of writer hides the other's rows.
    """


@dataclass(frozen=True, slots=True)
class ItemFeatureRow:
    """Features of one product, ready to be written; times as in `UserFeatureRow`."""

    item_id: str
    row: FeatureRow
    event_ms: int
    write_us: int | None = None


def open_feature_store(config: OnlineConfig, session: Session | None = None) -> OnlineFeatures:
    """Open the online store; nothing is made or changed there before `apply`.

    Parameters
    ----------
    config
        Where the features live.
    session
        A Cassandra session to use, which stays open afterwards; None opens one at `config.address`.
    """
    if config.kind == "cassandra":
        online_store: dict[str, Any] = {
            "type": "feature_repo.cassandra_store.PackedCassandraOnlineStore",
            "hosts": [config.address],
            "keyspace": config.keyspace,
            "replication_factor": config.replication_factor,
        }
    else:
        online_store = {"type": "sqlite", "path": str(Path(config.address).resolve())}
    store = FeatureStore(
        config=RepoConfig(
            project=config.project,
            provider="local",
            registry={
                "registry_store_type": "feature_repo.registry.MemoryRegistryStore",
                "cache_mode": "thread",  # in "sync" mode Feast looks for changes at every read
                "cache_ttl_seconds": 0,  # never expires: nobody else can change it
            },
            online_store=online_store,
            entity_key_serialization_version=3,
        )
    )
    _register(store, config)
    if session is not None:
        store.provider.online_store.use_session(session, config.keyspace)
    return OnlineFeatures(store, config)


class OnlineFeatures:
    """The two feature views, written and read.

    Attributes
    ----------
    store
        Feast's own store, for whatever else Feast can do.
    """

    def __init__(self, store: FeatureStore, config: OnlineConfig) -> None:
        self.store = store
        self._config = config
        self._provider = store.provider
        self._users = _View("user_features", "user_id", store)
        self._items = _View("item_features", "item_id", store)

    def apply(self) -> None:
        """Make what the store lacks (keyspace, tables); any number of workers may do so at once and again."""
        views = [self._users.view, self._items.view]
        self._provider.online_store.update(self.store.config, [], views, [], [], partial=True)
        if self._config.registry is not None:
            publish(self.store.registry.proto(), self._config.registry)

    def write_users(self, rows: Sequence[UserFeatureRow]) -> None:
        """Write features of shoppers.

        Raises
        ------
        cassandra.DriverException, cassandra.cluster.NoHostAvailable
            When Cassandra did not take all rows; writing the same rows again is safe.
        """
        self._write(self._users, [(row.user_id, row.row, row.event_ms, row.write_us) for row in rows])

    def bind_users(self, rows: Sequence[UserFeatureRow]) -> list[BoundStatement]:
        """Statements that write features of shoppers, one for each row, for a caller's own batch.

        Raises
        ------
        TypeError
            With another store than Cassandra, which has no statements.
        """
        online_store = self._provider.online_store
        if not isinstance(online_store, PackedCassandraOnlineStore):
            raise TypeError(
                f"bind_users: saw the online store {type(online_store).__name__}, expected "
                f"{PackedCassandraOnlineStore.__name__}; write with write_users"
            )
        if not rows:
            return []
        view = self._users
        packed = _pack(view, [(row.user_id, row.row, row.event_ms, row.write_us) for row in rows])
        return online_store.bind(self.store.config, view.view, packed)

    def write_items(self, rows: Sequence[ItemFeatureRow]) -> None:
        """Write features of products; errors as in `write_users`."""
        self._write(self._items, [(row.item_id, row.row, row.event_ms, row.write_us) for row in rows])

    def read_user(self, user_id: str) -> FeatureValues:
        """Read one shopper through Feast; all values are None when there is none."""
        return self.read_users([user_id])[0]

    def read_users(self, user_ids: Sequence[str]) -> list[FeatureValues]:
        """Read shoppers through Feast, in the order of the ids.

        Raises
        ------
        cassandra.DriverException, cassandra.cluster.NoHostAvailable
            When Cassandra did not answer for all of them; a shopper without features is no error.
        """
        return self._read(self._users, user_ids)

    def read_item(self, item_id: str) -> FeatureValues:
        """Read one product through Feast; all values are None when there is none."""
        return self.read_items([item_id])[0]

    def read_items(self, item_ids: Sequence[str]) -> list[FeatureValues]:
        """Read products through Feast, in the order of the ids; errors as in `read_users`."""
        return self._read(self._items, item_ids)

    def close(self) -> None:
        """Close the connection, unless it was given to `open_feature_store`."""
        online_store = self._provider.online_store
        if isinstance(online_store, PackedCassandraOnlineStore):
            online_store.close()
        elif online_store._conn is not None:  # Feast's SQLite store has no way to close
            online_store._conn.close()
            online_store._conn = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, view: _View, rows: list[tuple[str, FeatureRow, int, int | None]]) -> None:
        if rows:
            self._provider.online_write_batch(self.store.config, view.view, _pack(view, rows), None)

    def _read(self, view: _View, entity_ids: Sequence[str]) -> list[FeatureValues]:
        if not entity_ids:
            return []
        answer = self.store.get_online_features(
            features=view.references, entity_rows=[{view.join_key: entity_id} for entity_id in entity_ids]
        ).to_dict()
        # Feast's answer comes in the order of a set: put it into the declared one.
        return [{name: answer[name][place] for name in view.names} for place in range(len(entity_ids))]


class _View:
    """What writing and reading one feature view needs, looked up once."""

    def __init__(self, name: str, join_key: str, store: FeatureStore) -> None:
        self.join_key = join_key
        self.view: FeatureView = store.get_feature_view(name)
        self.names = [feature.name for feature in self.view.features]
        self.references = [f"{name}:{feature}" for feature in self.names]
        self.packer = Packer([f.name for f in self.view.features if f.dtype == definitions.FEAST_TYPES["float32"]])

    def entity_key(self, entity_id: str) -> EntityKey:
        return EntityKey(join_keys=[self.join_key], entity_values=[Value(string_val=entity_id)])


def _pack(
    view: _View, rows: list[tuple[str, FeatureRow, int, int | None]]
) -> list[tuple[EntityKey, PackedFeatures, datetime, datetime | None]]:
    """Rows as Feast's provider takes them."""
    features = view.packer.pack(np.stack([row.numbers for _, row, _, _ in rows]), [row.texts for _, row, _, _ in rows])
    return [
        (
            view.entity_key(entity_id),
            packed,
            _moment(event_ms * 1000),
            _moment(write_us) if write_us is not None else None,
        )
        for (entity_id, _, event_ms, write_us), packed in zip(rows, features, strict=True)
    ]


def _register(store: FeatureStore, config: OnlineConfig) -> None:
    """Fill this process's registry from the definitions."""
    registry, project = store.registry, store.project
    for declared in definitions.OBJECTS:
        if isinstance(declared, FeatureView):
            view = copy.copy(declared)
            view.ttl = timedelta(seconds=config.ttl_s)
            if config.archive is not None:
                view.stream_source = definitions.source(view.name, config.archive.resolve())
                view.batch_source = view.stream_source.batch_source
            registry.apply_feature_view(view, project, commit=False)
        elif isinstance(declared, FeatureService):
            registry.apply_feature_service(declared, project, commit=False)
        else:
            registry.apply_entity(declared, project, commit=False)
    registry.commit()


def _moment(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=microseconds)
