"""The flow's tables and topics on real servers: late writers lose, workers agree on a clock, topics fit."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, NewTopic

from feature_repo.features import NUMERIC_NAMES, TEXT_NAMES, FeatureRow
from feature_repo.online import OnlineFeatures, UserFeatureRow, open_feature_store
from streams import topics
from streams.durability import Durability
from streams.fence import FENCE_STEP_US, Fences
from streams.runtime import online_config
from streams.settings import Settings
from streams.store import ItemList, RecommendationList, RecommendedItem, Store, StoredState, StoreError, UserWrite
from streams.topics import TopicError, TopicSpec, create_topics
from tests.waiting import wait_until

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def own(servers: Any) -> Settings:
    """Settings with a keyspace of their own."""
    return Settings(kafka=servers.kafka, cassandra=servers.cassandra, keyspace=f"store_{uuid.uuid4().hex[:12]}")


@pytest.fixture(scope="module")
def store(own: Settings) -> Iterator[Store]:
    store = Store(own)
    yield store
    store.session.execute(f"DROP KEYSPACE {own.keyspace}", timeout=60)
    store.close()


@pytest.fixture
def user_id() -> str:
    return uuid.uuid4().hex


def a_list(user_id: str, caused_by: str = "e1", items: int = 2) -> RecommendationList:
    places = tuple(RecommendedItem(f"item-{n}", 1.5 - n, "because you looked at Zoë's mug") for n in range(items))
    return RecommendationList(user_id, "home", "l1", places, caused_by, 1_000, 2_000, "v1")


@pytest.fixture(scope="module")
def online(own: Settings, store: Store) -> Iterator[OnlineFeatures]:
    with open_feature_store(online_config(own), store.session) as online:
        online.apply()
        yield online


Write = Callable[[StoredState, RecommendationList | None], UserWrite]
WriteList = Callable[[RecommendationList, int], None]
WriteStates = Callable[[Iterable[StoredState]], None]


@pytest.fixture
def bind(store: Store, online: OnlineFeatures) -> Write:
    """Bind what is written of a user, features included."""

    def bind(state: StoredState, recommended: RecommendationList | None = None) -> UserWrite:
        numbers = np.zeros(len(NUMERIC_NAMES), np.float32)
        row = FeatureRow(numbers, dict.fromkeys(TEXT_NAMES, "tents"), NUMERIC_NAMES)
        (features,) = online.bind_users([UserFeatureRow(state.user_id, row, 1_000, state.write_us)])
        return UserWrite(state, features, recommended)

    return bind


@pytest.fixture
def write_list(store: Store, bind: Write) -> WriteList:
    return lambda entry, write_us: store.write([bind(StoredState(entry.user_id, b"state", b"", write_us), entry)])


@pytest.fixture
def write_states(store: Store, bind: Write) -> WriteStates:
    return lambda states: store.write([bind(state, None) for state in states])


def test_list_reads_back_as_it_was_written(store: Store, user_id: str, write_list: WriteList) -> None:
    write_list(a_list(user_id), 10)

    assert store.read_list(user_id) == a_list(user_id)
    assert store.read_list(user_id, "cart") is None


def test_empty_list_reads_back(store: Store, user_id: str, write_list: WriteList) -> None:
    write_list(a_list(user_id, items=0), 10)

    assert store.read_list(user_id) == a_list(user_id, items=0)


def test_list_of_a_late_writer_loses(store: Store, user_id: str, write_list: WriteList) -> None:
    write_list(a_list(user_id, "newer", items=1), 20)
    write_list(a_list(user_id, "older", items=5), 19)

    assert store.read_list(user_id) == a_list(user_id, "newer", items=1)


def test_state_of_a_late_writer_loses(store: Store, user_id: str, write_states: WriteStates) -> None:
    write_states([StoredState(user_id, b"newer", b"n", 20)])
    write_states([StoredState(user_id, b"older", b"o", 19)])

    assert store.read_states([user_id]) == {user_id: StoredState(user_id, b"newer", b"n", 20)}


def test_many_states_are_read_and_written_together(store: Store, write_states: WriteStates) -> None:
    states = {f"many-{n}": StoredState(f"many-{n}", bytes([n % 256]), b"", n + 1) for n in range(300)}

    write_states(states.values())

    assert store.read_states([*states, "nobody"]) == states
    assert store.read_states([]) == {}


def test_causes_of_lists_and_of_states_read_back(store: Store, bind: Write, user_id: str) -> None:
    listed = a_list(user_id)
    store.write([bind(StoredState(user_id, b"state", b"", 10, listed.caused_by), listed)])
    store.write([bind(StoredState(user_id, b"moved", b"", 11, "a later event"))])

    assert store.read_causes([user_id, "nobody"], "home") == {user_id: listed.caused_by}
    assert store.read_causes([user_id], "cart") == {}
    assert store.read_states([user_id])[user_id].caused_by == "a later event"


def test_table_of_a_former_version_gets_the_cause(own: Settings, store: Store, bind: Write, user_id: str) -> None:
    store.session.execute(f"ALTER TABLE {own.keyspace}.user_state DROP caused_by")
    again = Store(own)
    try:
        # What was written before a column was dropped, by its own timestamp, stays hidden.
        later_us = time.time_ns() // 1000 + 1_000_000
        again.write([bind(StoredState(user_id, b"state", b"", later_us, "an event"))])

        assert again.read_states([user_id])[user_id].caused_by == "an event"
    finally:
        again.close()


def test_list_of_no_user_is_replaced(store: Store) -> None:
    first, second = RecommendedItem("a", 2.0, "popular now"), RecommendedItem("b", 1.0, "popular now")
    store.write_item_lists([ItemList("popular", "", "l1", (first,), 1), ItemList("new", "tents", "l4", (), 1)])
    store.write_item_lists([ItemList("popular", "", "l2", (second, first), 3)])
    store.write_item_lists([ItemList("popular", "", "l1", (first,), 2)])

    assert store.read_item_list("popular") == (second, first)
    assert store.read_item_list("new", "tents") == ()
    assert store.read_item_list("category", "tents") == ()


def test_state_list_and_features_of_a_user_are_one_mutation(
    store: Store, online: OnlineFeatures, bind: Write, user_id: str
) -> None:
    """Cassandra takes a batch in one partition as one mutation: its trace shows one append to the commit log."""
    write = bind(StoredState(user_id, b"state", b"", 10), a_list(user_id))
    trace = store.session.execute(store.statement(write), trace=True).get_query_trace(max_wait_sec=30)

    told = [event.description for event in trace.events]
    assert sum("Appending to commitlog" in each for each in told) == 1, told
    assert store.read_list(user_id) == a_list(user_id)
    assert store.read_states([user_id])[user_id].state == b"state"
    assert online.read_user(user_id)["top_category"] == "tents"


@pytest.fixture
def fences(own: Settings, store: Store) -> Fences:
    return Fences(store.session, own.keyspace)


def test_same_topics_keep_their_epoch_and_new_ones_get_a_later(fences: Fences) -> None:
    first = fences.epoch_us("topics 1")

    assert fences.epoch_us("topics 1") == first
    assert fences.epoch_us("topics 2") > first


def test_every_fence_is_far_above_those_before(fences: Fences) -> None:
    epoch_us = fences.epoch_us("topics 1")
    first = fences.draw({0, 1}, above_us=epoch_us)
    second = fences.draw({1, 2}, above_us=epoch_us)
    third = fences.draw({0}, above_us=second + 1_000_000_000)

    assert first >= epoch_us + FENCE_STEP_US
    assert second >= first + FENCE_STEP_US
    assert third >= second + 1_000_000_000 + FENCE_STEP_US
    assert {partition: fences.newest()[partition] for partition in range(3)} == {0: third, 1: second, 2: second}
    # Topics made again begin above whatever was written before.
    assert fences.epoch_us("topics 3") >= third + FENCE_STEP_US


def test_workers_that_draw_at_once_draw_different_fences(own: Settings, fences: Fences) -> None:
    fences.epoch_us("topics 1")
    stores = [Store(own) for _ in range(4)]
    try:
        each_own = [Fences(store.session, own.keyspace) for store in stores]
        with ThreadPoolExecutor(4) as pool:
            drawn = list(pool.map(lambda each: each.draw(set(range(8)), 0), each_own))
            assert len(set(pool.map(lambda each: each.epoch_us("topics 4"), each_own))) == 1
        assert len(set(drawn)) == 4
        assert set(fences.newest().values()) == {max(drawn)}
    finally:
        for each in stores:
            each.close()


def test_local_cassandras_disk_is_at_most_one_and_a_half_periods_behind(own: Settings, store: Store) -> None:
    durability = Durability(store.session, own.keyspace, replication_factor=1)

    assert durability.lag_s == pytest.approx(0.3)
    assert durability.unbroken()
    assert Durability(store.session, own.keyspace, replication_factor=3).lag_s == 0


def test_cassandra_that_does_not_answer_is_named() -> None:
    with pytest.raises(StoreError, match=r"does not answer on 127\.0\.0\.1:1.*lastclick up"):
        Store(Settings(cassandra="127.0.0.1:1"))


@pytest.fixture
def admin(own: Settings) -> Iterator[KafkaAdminClient]:
    admin = KafkaAdminClient(bootstrap_servers=own.kafka)
    yield admin
    admin.close()


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch, admin: KafkaAdminClient) -> Iterator[dict[str, str]]:
    """The flow's topics under other names for a while: theirs by the flow's."""
    prefix = uuid.uuid4().hex[:8]
    names = {spec.name: f"{prefix}-{spec.name}" for spec in topics.TOPICS}
    specs = tuple(replace(spec, name=names[spec.name]) for spec in topics.TOPICS)
    monkeypatch.setattr(topics, "TOPICS", specs)
    monkeypatch.setattr(topics, "USER_TOPICS", tuple(names[name] for name in topics.USER_TOPICS))
    for name in ("scores", "triggers", "recommendations", "items", "catalogue"):
        monkeypatch.setattr(topics, name.upper(), names[name])
    yield names
    admin.delete_topics([name for name in admin.list_topics() if name.startswith(prefix)])


def test_topics_are_made_once_and_as_they_are_needed(
    own: Settings, admin: KafkaAdminClient, named: dict[str, str]
) -> None:
    first = create_topics(replace(own, partitions=3))
    again = create_topics(replace(own, partitions=3))

    assert first == again
    assert first.keys() == set(named.values())
    described = {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics([*named.values()])}
    assert set(described.values()) == {3}
    items = _config(admin, named["items"])
    assert (items["cleanup.policy"], items["message.timestamp.type"]) == ("compact", "LogAppendTime")
    assert _config(admin, named["clicks"]) == {
        "max.message.bytes": str(topics.MAX_INPUT_BYTES),
        "message.timestamp.type": "LogAppendTime",
    }


def _config(admin: KafkaAdminClient, topic: str) -> dict[str, str]:
    """What a topic has of its own, apart from the broker's defaults."""
    described = admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    (by_name,) = described[ConfigResourceType.TOPIC.name.lower()].values()
    return {name: entry["value"] for name, entry in by_name.items()}


def test_topics_made_again_have_other_ids(own: Settings, admin: KafkaAdminClient, named: dict[str, str]) -> None:
    first = create_topics(replace(own, partitions=1))
    admin.delete_topics([named["clicks"]])
    wait_until(lambda: named["clicks"] not in admin.list_topics(), 30, "the broker to forget the deleted topic")
    again = create_topics(replace(own, partitions=1))

    changed = {name for name in first if first[name] != again[name]}
    assert changed == {named["clicks"]}


def test_user_topics_of_different_sizes_are_refused(
    own: Settings, admin: KafkaAdminClient, named: dict[str, str]
) -> None:
    admin.create_topics([NewTopic(named["carts"], num_partitions=2, replication_factor=1)])

    with pytest.raises(TopicError, match="expected one number for all of them"):
        create_topics(replace(own, partitions=3))


def test_many_workers_may_make_the_topics_at_once(own: Settings, named: dict[str, str]) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: create_topics(replace(own, partitions=2)), range(4)))

    assert all(each == made[0] for each in made)


def test_spec_without_limits_leaves_the_brokers_own(own: Settings) -> None:
    assert TopicSpec("any").config() == {"message.timestamp.type": "LogAppendTime"}
