"""Rows a second into Cassandra: the packed store against Feast's own, on the product's user features.

``python -m tests.benchmarks.bench_online_store`` measures on the Cassandra of LASTCLICK_CASSANDRA (host:port)
and prints the tables of docs/decisions (packed feature rows). The keyspace it makes is dropped at the end.
"""

from __future__ import annotations

import os
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
from feature_repo.cassandra_cluster import connect, split_addresses
from feature_repo.cassandra_store import EPOCH
from feature_repo.declarations import FeatureRow
from feature_repo.features import NUMERIC_NAMES, TEXT_NAMES

EVENT_MS = 1_767_225_600_000
BATCHES = (1, 50, 500)
SECONDS = 4.0
"""How long each case is repeated; a table gives the median repetition."""


def made_up_rows(count: int) -> list[UserFeatureRow]:
    random = np.random.default_rng(7)
    numbers = random.gamma(0.5, 4.0, (count, len(NUMERIC_NAMES))).astype(np.float32)
    texts = dict.fromkeys(TEXT_NAMES, "Garden & Outdoor")
    return [
        UserFeatureRow(f"user-{place:06d}", FeatureRow(row, texts, NUMERIC_NAMES), EVENT_MS, place + 1)
        for place, row in enumerate(numbers)
    ]


def measured(action: Callable[[], object], rows: int) -> tuple[float, float]:
    """Rows a second in the median repetition, and the client's processor time in microseconds a row."""
    action()
    walls, started, processor = [], time.perf_counter(), time.process_time()
    while time.perf_counter() - started < SECONDS:
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


def table(
    title: str,
    stores: dict[str, OnlineFeatures | FeastOwn],
    act: Callable[[OnlineFeatures | FeastOwn, list[UserFeatureRow]], object],
) -> None:
    print(f"\n| {title} | batch of 1 | of 50 | of 500 | client's processor time a row of 500 |")
    print("|---|---|---|---|---|")
    rows = made_up_rows(max(BATCHES))
    for name, store in stores.items():
        results = [measured(partial(act, store, rows[:size]), size) for size in BATCHES]
        rates = " | ".join(f"{rate:,.0f}/s" for rate, _ in results)
        print(f"| {name} | {rates} | {results[-1][1]:,.0f} µs |", flush=True)


def main() -> None:
    address = os.environ.get("LASTCLICK_CASSANDRA", "127.0.0.1:9042")
    hosts, port = split_addresses([address])
    keyspace = f"bench_{uuid4().hex}"
    session = connect(hosts, port or 9042, login=None, request_timeout_s=60.0, protocol_version=4)
    packed = open_feature_store(OnlineConfig("cassandra", address, keyspace))
    try:
        packed.apply()
        stores: dict[str, OnlineFeatures | FeastOwn] = {
            "packed (one row an entity)": packed,
            "Feast's own (one row a feature)": FeastOwn(hosts, port or 9042, keyspace),
        }
        print(f"{len(NUMERIC_NAMES)} numbers and {len(TEXT_NAMES)} texts a row, {os.cpu_count()} cores")
        table("written", stores, lambda store, rows: store.write_users(rows))
        table("read", stores, lambda store, rows: store.read_users([row.user_id for row in rows]))
        name = f"{keyspace}.lastclick_user_features"
        blob = session.execute(f"SELECT features FROM {name} LIMIT 1").one().features
        print(f"\n{len(blob)} bytes a packed row before compression")
    finally:
        packed.close()
        session.execute(f'DROP KEYSPACE IF EXISTS "{keyspace}"', timeout=60)
        session.cluster.shutdown()


if __name__ == "__main__":
    main()
