"""Rows a second into Cassandra: the packed store against Feast's own, on the product's user features.

Prints the tables of docs/decisions (packed feature rows). The keyspace it makes is dropped at the end.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from uuid import uuid4

import numpy as np

from feature_repo.online import OnlineConfig, OnlineFeatures, UserFeatureRow, open_feature_store

# isort: split
from feast import FeatureStore, RepoConfig
from feast.protos.feast.types.EntityKey_pb2 import EntityKey
from feast.protos.feast.types.Value_pb2 import Value

from feature_repo import definitions
from feature_repo.cassandra_cluster import split_addresses
from feature_repo.cassandra_store import EPOCH
from feature_repo.declarations import FeatureRow
from feature_repo.features import NUMERIC_NAMES, TEXT_NAMES
from tests.benchmarks.context import Context
from tests.benchmarks.figures import Figure, Result, Table

EVENT_MS = 1_767_225_600_000
BATCHES = (1, 50, 500)
SECONDS, QUICK_SECONDS = 4.0, 1.0
"""How long each case is repeated; a table gives the median repetition."""

PACKED = "packed, one row an entity"
FEAST = "Feast's own, one row a feature"


def made_up_rows(count: int) -> list[UserFeatureRow]:
    random = np.random.default_rng(7)
    numbers = random.gamma(0.5, 4.0, (count, len(NUMERIC_NAMES))).astype(np.float32)
    texts = dict.fromkeys(TEXT_NAMES, "Garden & Outdoor")
    return [
        UserFeatureRow(f"user-{place:06d}", FeatureRow(row, texts, NUMERIC_NAMES), EVENT_MS, place + 1)
        for place, row in enumerate(numbers)
    ]


def measured(action: Callable[[], object], rows: int, seconds: float) -> tuple[float, float]:
    """Rows a second in the median repetition, and the client's processor time in microseconds a row."""
    action()
    walls, started, processor = [], time.perf_counter(), time.process_time()
    while time.perf_counter() - started < seconds:
        before = time.perf_counter()
        action()
        walls.append(time.perf_counter() - before)
    processor_us = (time.process_time() - processor) / len(walls) / rows * 1e6
    return rows / statistics.median(walls), processor_us


class FeastOwn:
    """Feast's own Cassandra store, given the same rows through the same provider call."""

    def __init__(self, hosts: list[str], port: int, keyspace: str) -> None:
        self.store = FeatureStore(
            config=RepoConfig(
                project="feast",
                provider="local",
                registry={
                    "registry_store_type": "feature_repo.registry.MemoryRegistryStore",
                    "cache_mode": "thread",
                    "cache_ttl_seconds": 0,
                },
                online_store={"type": "cassandra", "hosts": hosts, "port": port, "keyspace": keyspace},
                entity_key_serialization_version=3,
            )
        )
        self.store.apply(list(definitions.OBJECTS))
        self.view = self.store.get_feature_view("user_features")

    def write_users(self, rows: list[UserFeatureRow]) -> None:
        batch = []
        for row in rows:
            numbers = zip(NUMERIC_NAMES, row.row.numbers.tolist(), strict=True)
            values = {name: Value(float_val=number) for name, number in numbers}
            values |= {name: Value(string_val=text) for name, text in row.row.texts.items()}
            key = EntityKey(join_keys=["user_id"], entity_values=[Value(string_val=row.user_id)])
            batch.append((key, values, EPOCH + timedelta(milliseconds=row.event_ms), None))
        self.store.provider.online_write_batch(self.store.config, self.view, batch, None)

    def read_users(self, user_ids: list[str]) -> object:
        entities = [{"user_id": user_id} for user_id in user_ids]
        features = [f"user_features:{feature.name}" for feature in self.view.features]
        return self.store.get_online_features(features, entities).to_dict()


def compare(
    what: str,
    stores: dict[str, OnlineFeatures | FeastOwn],
    act: Callable[[OnlineFeatures | FeastOwn, list[UserFeatureRow]], object],
    seconds: float,
) -> tuple[list[Figure], Table]:
    """Rows a second of each store and batch size; Feast's own store is what the packed one is held against."""
    rows = made_up_rows(max(BATCHES))
    measurements = {
        name: [measured(partial(act, store, rows[:size]), size, seconds) for size in BATCHES]
        for name, store in stores.items()
    }
    figures = [
        Figure(f"feature rows {what}, batch of {size}", packed[0], "rows/s", own[0], FEAST, False, checked=False)
        for size, packed, own in zip(BATCHES, measurements[PACKED], measurements[FEAST], strict=True)
    ]
    columns = ("store", *(f"batch of {size}, rows/s" for size in BATCHES), "client's CPU, µs a row of the largest")
    table = Table(
        f"Feature rows {what}",
        columns,
        [(name, *(rate for rate, _ in results), results[-1][1]) for name, results in measurements.items()],
    )
    return figures, table


def run(context: Context) -> Result:
    """Write and read the same rows with both stores, in a keyspace that is dropped at the end."""
    seconds = context.options.seconds or (QUICK_SECONDS if context.options.quick else SECONDS)
    hosts, port = split_addresses([context.cassandra])
    keyspace = f"bench_{uuid4().hex}"
    packed = open_feature_store(OnlineConfig("cassandra", context.cassandra, keyspace))
    try:
        packed.apply()
        stores: dict[str, OnlineFeatures | FeastOwn] = {
            PACKED: packed,
            FEAST: FeastOwn(hosts, port or 9042, keyspace),
        }
        written, writing = compare("written", stores, lambda store, rows: store.write_users(rows), seconds)
        read, reading = compare(
            "read", stores, lambda store, rows: store.read_users([row.user_id for row in rows]), seconds
        )
        name = f"{keyspace}.lastclick_user_features"
        blob = context.session.execute(f"SELECT features FROM {name} LIMIT 1").one().features
    finally:
        packed.close()
        context.session.execute(f'DROP KEYSPACE IF EXISTS "{keyspace}"', timeout=60)
    return Result(
        "online-store",
        f"{len(NUMERIC_NAMES)} numbers and {len(TEXT_NAMES)} texts a row, {len(blob)} bytes a packed row",
        [*written, *read],
        [writing, reading],
    )
