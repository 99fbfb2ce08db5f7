"""What a Feast online store must do here, for SQLite and Cassandra alike, and what Cassandra does beyond that."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pandas as pd
import pytest
from cassandra import InvalidRequest
from cassandra.cluster import NoHostAvailable, Session
from feast import FeatureStore

from feature_repo import definitions
from feature_repo.cassandra_cluster import connect, split_addresses
from feature_repo.declarations import FeatureRow
from feature_repo.features import FEATURES, NUMERIC_NAMES, TEXT_NAMES
from feature_repo.item_state import ITEM_FEATURES, ITEM_NUMERIC_NAMES
from feature_repo.online import (
    ItemFeatureRow,
    OnlineConfig,
    OnlineFeatures,
    UserFeatureRow,
    open_feature_store,
)

EVENT_MS = 1_767_225_600_000
AWKWARD = (0.0, -0.0, 0.1, 1 / 3, -1.5, 1e-38, 1e-45, 3.4e38, 16_777_217.0, 2.5e-7)
IDS = ("17850", "名前", "Zoë 🛒", "with 'quotes\"; --", "a/b\\c\n", "x" * 2_000)


def user_row(user_id: str, number: float = 0.0, write_us: int | None = 1, **texts: str) -> UserFeatureRow:
    numbers = np.arange(len(NUMERIC_NAMES), dtype=np.float32) + np.float32(number)
    row = FeatureRow(numbers, dict.fromkeys(TEXT_NAMES, "") | texts, NUMERIC_NAMES)
    return UserFeatureRow(user_id, row, EVENT_MS, write_us)


def item_row(item_id: str, number: float) -> ItemFeatureRow:
    numbers = np.full(len(ITEM_NUMERIC_NAMES), number, np.float32)
    texts = {feature.name: "Größe" for feature in ITEM_FEATURES if feature.dtype == "string"}
    return ItemFeatureRow(item_id, FeatureRow(numbers, texts, ITEM_NUMERIC_NAMES), EVENT_MS)


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    deadline, pause = time.monotonic() + seconds, threading.Event()
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        pause.wait(0.1)


@pytest.fixture(scope="module")
def session(servers: Any) -> Iterator[Session]:
    hosts, port = split_addresses([servers.cassandra])
    assert port is not None
    session = connect(hosts, port, login=None, request_timeout_s=60.0, protocol_version=4)
    yield session
    session.cluster.shutdown()


@pytest.fixture(scope="module")
def cassandra(servers: Any, session: Session) -> Iterator[OnlineConfig]:
    """A keyspace of its own."""
    keyspace = f"features_{uuid4().hex}"
    yield OnlineConfig("cassandra", servers.cassandra, keyspace)
    session.execute(f'DROP KEYSPACE IF EXISTS "{keyspace}"', timeout=60)


@pytest.fixture(scope="module", params=["sqlite", pytest.param("cassandra", marks=pytest.mark.integration)])
def online(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnlineFeatures]:
    if request.param == "sqlite":
        config = OnlineConfig("sqlite", str(tmp_path_factory.mktemp("sqlite") / "online.db"))
    else:
        config = request.getfixturevalue("cassandra")
    with open_feature_store(config) as online:
        online.apply()
        yield online


@pytest.fixture
def user_id() -> str:
    return uuid4().hex


class TestEveryStore:
    def test_floats_and_texts_read_back_exactly(self, online: OnlineFeatures, user_id: str) -> None:
        numbers = np.resize(np.array(AWKWARD, np.float32), len(NUMERIC_NAMES))
        row = FeatureRow(numbers, {"top_category": "Küche & 名", "top_brand": ""}, NUMERIC_NAMES)
        online.write_users([UserFeatureRow(user_id, row, EVENT_MS, 1)])
        assert online.read_user(user_id) == row.as_dict()

    def test_values_come_in_declared_order(self, online: OnlineFeatures, user_id: str) -> None:
        online.write_users([user_row(user_id)])
        assert list(online.read_user(user_id)) == [feature.name for feature in FEATURES]

    def test_unknown_user_has_no_values(self, online: OnlineFeatures, user_id: str) -> None:
        assert online.read_user(user_id) == {feature.name: None for feature in FEATURES}

    @pytest.mark.parametrize("entity_id", IDS)
    def test_any_id_is_an_id(self, online: OnlineFeatures, entity_id: str) -> None:
        online.write_users([user_row(entity_id, 5)])
        assert online.read_user(entity_id) == user_row(entity_id, 5).row.as_dict()

    def test_users_read_together_come_in_the_asked_order(self, online: OnlineFeatures, user_id: str) -> None:
        rows = {f"{user_id}-{place}": user_row(f"{user_id}-{place}", place) for place in range(700)}
        online.write_users(list(rows.values()))
        asked = [*reversed(rows), "nobody", f"{user_id}-3", f"{user_id}-3"]
        unknown = dict.fromkeys(online.read_user("nobody"))
        expected = [rows[asked_id].row.as_dict() if asked_id in rows else unknown for asked_id in asked]
        assert online.read_users(asked) == expected

    def test_a_newer_write_replaces_all_values(self, online: OnlineFeatures, user_id: str) -> None:
        online.write_users([user_row(user_id, 1, 10, top_category="old")])
        online.write_users([user_row(user_id, 2, 11, top_category="new")])
        assert online.read_user(user_id) == user_row(user_id, 2, 11, top_category="new").row.as_dict()

    def test_the_newest_of_one_batch_stays(self, online: OnlineFeatures, user_id: str) -> None:
        online.write_users([user_row(user_id, clock, clock) for clock in range(1, 30)])
        assert online.read_user(user_id)["clicks_1h"] == 29

    def test_writing_again_changes_nothing(self, online: OnlineFeatures, user_id: str) -> None:
        for _ in range(2):
            online.write_users([user_row(user_id, 7, 7)])
        assert online.read_user(user_id)["clicks_1h"] == 7

    def test_users_and_items_with_one_id_are_two_things(self, online: OnlineFeatures, user_id: str) -> None:
        online.write_users([user_row(user_id, 1)])
        online.write_items([item_row(user_id, 2)])
        assert online.read_user(user_id)["clicks_24h"] == 3  # the third number counts from 1
        assert online.read_item(user_id) == item_row(user_id, 2).row.as_dict()

    def test_applying_again_keeps_the_rows(self, online: OnlineFeatures, user_id: str) -> None:
        online.write_users([user_row(user_id, 4)])
        online.apply()
        online.store.apply(list(definitions.OBJECTS))
        assert online.read_user(user_id)["clicks_1h"] == 4

    def test_another_thread_may_use_it(self, online: OnlineFeatures, user_id: str) -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(online.write_users, [user_row(user_id, 2)]).result()
            assert pool.submit(online.read_user, user_id).result()["clicks_1h"] == 2

    def test_nothing_to_write_and_nothing_to_read_is_fine(self, online: OnlineFeatures) -> None:
        online.write_users([])
        online.write_items([])
        assert online.read_users([]) == []

    def test_services_read_their_part(self, online: OnlineFeatures, user_id: str) -> None:
        online.write_users([user_row(user_id, 3, top_brand="b")])
        service = online.store.get_feature_service("marketing")
        answer = online.store.get_online_features(service, [{"user_id": user_id}]).to_dict()
        values = user_row(user_id, 3, top_brand="b").row.as_dict()
        assert answer == {"user_id": [user_id]} | {name: [values[name]] for name in definitions.MARKETING}

    def test_rows_pushed_by_feast_itself_read_back(self, online: OnlineFeatures, user_id: str) -> None:
        moment = datetime.fromtimestamp(EVENT_MS / 1000, UTC)
        values = user_row(user_id, 9, top_category="c").row.as_dict()
        pushed = {"user_id": user_id, "event_timestamp": moment, "created": moment} | values
        online.store.push("user_features_agents", pd.DataFrame([pushed]))
        assert online.read_user(user_id) == values


@pytest.mark.integration
class TestCassandra:
    @pytest.fixture
    def online(self, cassandra: OnlineConfig) -> Iterator[OnlineFeatures]:
        with open_feature_store(cassandra) as online:
            online.apply()
            yield online

    def stored(self, session: Session, config: OnlineConfig, columns: str) -> list[Any]:
        return session.execute(f"SELECT {columns} FROM {config.keyspace}.lastclick_user_features").all()

    def test_a_late_writer_loses(self, online: OnlineFeatures, user_id: str) -> None:
        online.write_users([user_row(user_id, 2, 20)])
        online.write_users([user_row(user_id, 1, 19)])
        assert online.read_user(user_id)["clicks_1h"] == 2

    def test_the_newest_stays_whatever_the_order_of_a_batch(self, online: OnlineFeatures, user_id: str) -> None:
        online.write_users([user_row(user_id, clock, clock) for clock in range(30, 0, -1)])
        assert online.read_user(user_id)["clicks_1h"] == 30

    def test_without_a_clock_the_newer_event_stays(self, online: OnlineFeatures) -> None:
        item_id = uuid4().hex
        late = item_row(item_id, 1)
        online.write_items([ItemFeatureRow(item_id, item_row(item_id, 2).row, EVENT_MS + 1)])
        online.write_items([late])
        assert online.read_item(item_id)["price"] == 2

    def test_writers_at_once_end_with_the_newest(
        self, online: OnlineFeatures, cassandra: OnlineConfig, user_id: str
    ) -> None:
        with open_feature_store(cassandra) as other, ThreadPoolExecutor(2) as pool:
            clocks = range(1, 60)
            writes = [
                pool.submit(writer.write_users, [user_row(user_id, clock, clock)])
                for clock in clocks
                for writer in (online, other)
            ]
            for write in writes:
                write.result()
        assert online.read_user(user_id)["clicks_1h"] == clocks[-1]

    def test_an_entity_is_one_row_with_its_clock_and_time(
        self, online: OnlineFeatures, cassandra: OnlineConfig, session: Session
    ) -> None:
        session.execute(f"TRUNCATE {cassandra.keyspace}.lastclick_user_features", timeout=60)
        online.write_users([user_row("17850", 1, 4_242)])
        (row,) = self.stored(session, cassandra, "WRITETIME(features) AS clock, TTL(features) AS ttl_s, event_ts")
        assert row.clock == 4_242
        assert cassandra.ttl_s - 60 < row.ttl_s <= cassandra.ttl_s
        assert row.event_ts.replace(tzinfo=UTC).timestamp() * 1000 == EVENT_MS

    def test_tables_use_unified_compaction(
        self, online: OnlineFeatures, cassandra: OnlineConfig, session: Session
    ) -> None:
        tables = session.execute(
            "SELECT table_name, compaction FROM system_schema.tables WHERE keyspace_name = %s",
            [cassandra.keyspace],
        ).all()
        assert {table.table_name for table in tables} == {"lastclick_user_features", "lastclick_item_features"}
        assert all(table.compaction["class"].endswith("UnifiedCompactionStrategy") for table in tables)

    def test_rows_expire_and_a_changed_time_to_live_keeps_them(
        self, cassandra: OnlineConfig, session: Session, user_id: str
    ) -> None:
        short = OnlineConfig("cassandra", cassandra.address, cassandra.keyspace, "expiry", ttl_s=2)
        with open_feature_store(short) as online:
            online.apply()
            online.write_users([user_row("short", 1)])
            wait_for(lambda: online.read_user("short")["clicks_1h"] is None, 30)
        longer = OnlineConfig("cassandra", cassandra.address, cassandra.keyspace, "expiry", ttl_s=3_600)
        with open_feature_store(longer) as online:
            online.apply()
            online.write_users([user_row("long", 1)])
            online.apply()
            assert online.read_user("long")["clicks_1h"] == 1
        table = f"{cassandra.keyspace}.expiry_user_features"
        row = session.execute(f"SELECT TTL(features) AS ttl_s FROM {table}").one()
        assert row.ttl_s > 3_000

    def test_workers_may_apply_at_once(self, cassandra: OnlineConfig, session: Session) -> None:
        keyspace = f"together_{uuid4().hex}"
        stores = [open_feature_store(OnlineConfig("cassandra", cassandra.address, keyspace)) for _ in range(4)]
        start = threading.Barrier(len(stores))

        def apply_and_use(store: OnlineFeatures) -> float | str | None:
            start.wait()
            store.apply()
            store.write_users([user_row("17850", 6)])
            return store.read_user("17850")["clicks_1h"]

        try:
            with ThreadPoolExecutor(len(stores)) as pool:
                assert list(pool.map(apply_and_use, stores)) == [6] * len(stores)
        finally:
            for store in stores:
                store.close()
            session.execute(f'DROP KEYSPACE IF EXISTS "{keyspace}"', timeout=60)

    def test_a_lent_session_stays_open(self, cassandra: OnlineConfig, session: Session, user_id: str) -> None:
        with open_feature_store(cassandra, session) as online:
            online.apply()
            online.write_users([user_row(user_id, 8)])
            assert online.read_user(user_id)["clicks_1h"] == 8
        assert not session.is_shutdown

    def test_an_own_session_is_closed_and_opened_again_when_needed(self, cassandra: OnlineConfig, user_id: str) -> None:
        online = open_feature_store(cassandra)
        online.apply()
        online.close()
        online.close()
        assert online.read_user(user_id)["clicks_1h"] is None
        online.close()

    def test_a_store_that_does_not_answer_is_an_error_not_an_empty_answer(self) -> None:
        with open_feature_store(OnlineConfig("cassandra", "127.0.0.1:1")) as online:
            with pytest.raises(NoHostAvailable):
                online.read_user("17850")
            with pytest.raises(NoHostAvailable):
                online.write_users([user_row("17850")])

    def test_before_apply_the_missing_table_is_named(self, cassandra: OnlineConfig) -> None:
        config = OnlineConfig("cassandra", cassandra.address, cassandra.keyspace, "nobody")
        with (
            open_feature_store(config) as online,
            pytest.raises(InvalidRequest, match="nobody_user_features"),
        ):
            online.read_user("17850")

    def test_a_view_that_is_deleted_loses_its_table_only(self, cassandra: OnlineConfig, session: Session) -> None:
        config = OnlineConfig("cassandra", cassandra.address, cassandra.keyspace, "dropping")
        with open_feature_store(config) as online:
            online.apply()
            view = online.store.get_feature_view("item_features")
            online.store.apply([], objects_to_delete=[view], partial=False)
            tables = session.execute(
                "SELECT table_name FROM system_schema.tables WHERE keyspace_name = %s", [cassandra.keyspace]
            )
            names = {row.table_name for row in tables}
            assert "dropping_user_features" in names
            assert "dropping_item_features" not in names

    def test_another_feast_program_reads_through_the_published_registry(
        self, cassandra: OnlineConfig, user_id: str, tmp_path: Path
    ) -> None:
        registry = tmp_path / "feast" / "registry.db"
        config = OnlineConfig("cassandra", cassandra.address, cassandra.keyspace, registry=registry)
        with open_feature_store(config) as online:
            online.apply()
            online.write_users([user_row(user_id, 5)])
        (tmp_path / "feature_store.yaml").write_text(
            f"project: lastclick\nprovider: local\nregistry: {registry}\nonline_store:\n"
            "  type: feature_repo.cassandra_store.PackedCassandraOnlineStore\n"
            f"  hosts: ['{cassandra.address}']\n  keyspace: {cassandra.keyspace}\n"
            "entity_key_serialization_version: 3\n"
        )
        store = FeatureStore(repo_path=str(tmp_path))
        try:
            service = store.get_feature_service("propensity")
            answer = store.get_online_features(service, [{"user_id": user_id}]).to_dict()
            assert answer["clicks_1h"] == [5]
        finally:
            store.provider.online_store.close()
