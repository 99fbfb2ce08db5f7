"""One micro-batch after another through the flow, with stores and models in memory."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from cassandra.cluster import NoHostAvailable

from feature_repo.events import Cart, Click, Event, Impression, Review, encode
from feature_repo.features import NUMERIC_NAMES
from feature_repo.pair_state import PairState, decode_pair_state, weight_at
from feature_repo.state import UserState, decode_state
from streams.cache import StateCache
from streams.fence import FenceError, Stamps
from streams.flow import Flow
from streams.metrics import Metrics
from streams.pairs import Pairs
from streams.popularity import Popularity
from streams.records import Message, Record
from streams.rule_effects import RuleEffects
from streams.rules import Rules
from streams.serving import Models, Serving
from streams.settings import Settings
from streams.waiting import Patience
from tests.streams.fakes import (
    NOW_MS,
    Done,
    FakeAspects,
    FakeOnline,
    FakeProducer,
    FakeRecommender,
    FakeSentiment,
    FakeStore,
    consumed,
    item,
    stocked,
)

EPOCH_US = 1_000_000
COUNTS = ("item-counts", "pair-counts")


fences_us = itertools.count(EPOCH_US, 1000)


class Worker:
    """A flow with its surroundings and a fence of its own, later than those of the workers made before it."""

    def __init__(self, store: FakeStore | None = None, done: Done | None = None, epoch_us: int = EPOCH_US) -> None:
        self.stamps = Stamps()
        self.draw_fence(epoch_us)
        self.done = done or Done()
        self.store = store or FakeStore(self.done)
        self.recommender = FakeRecommender()
        self.metrics = Metrics()
        self.popularity = Popularity()
        self.pairs = Pairs()
        self.rules = Rules()
        self.catalogue = stocked(item("tent"), item("cup"), item("rug"), recommender=self.recommender)
        models = Models(self.recommender, FakeSentiment())  # type: ignore[arg-type]
        self.serving = Serving(models, self.catalogue)
        self.flow = Flow(
            Settings(list_size=2, category_share=1.0, propensity_threshold=0.4, propensity_rearm=0.3),
            self.store,  # type: ignore[arg-type]
            FakeOnline(self.done),  # type: ignore[arg-type]
            self.serving,
            self.catalogue,
            self.popularity,
            self.pairs,
            RuleEffects(self.rules),
            FakeProducer(self.done),
            self.metrics,
            Patience(),
            self.stamps,
            epoch_us,
        )

    def draw_fence(self, above_us: int = 0) -> None:
        """What happens at an assignment."""
        self.stamps.renew(range(8), max(above_us, next(fences_us)))

    def process(self, *records: Record) -> None:
        asyncio.run(self.through(records))

    async def through(self, records: Sequence[Record]) -> None:
        """Take a batch all the way."""
        batch = await self.flow.prepare(records)
        await self.flow.announce(batch)
        await self.flow.write(batch)
        self.flow.settled(batch)

    def state(self, user_id: str = "anna") -> UserState:
        return decode_state(self.store.states[user_id].state)

    def values(self, topic: str) -> list[Any]:
        """Values sent to a topic."""
        return [json.loads(m.value or b"") for m in self.done.of("messages") if m.topic == topic]

    def count(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"lastclick_{name}_total", labels)


@pytest.fixture
def make() -> Iterator[Callable[..., Worker]]:
    made: list[Worker] = []

    def make(*args: Any) -> Worker:
        made.append(Worker(*args))
        return made[-1]

    yield make
    for worker in made:
        worker.flow.close()


@pytest.fixture
def worker(make: Callable[..., Worker]) -> Worker:
    return make()


TOPIC_OF = {Click: "clicks", Cart: "carts", Review: "reviews", Impression: "impressions"}


def record(event: Event, offset: int, partition: int = 0) -> Record:
    return Record(TOPIC_OF[type(event)], partition, offset, NOW_MS, event.user_id.encode(), encode(event))


def click(number: int, item_id: str = "tent", user_id: str = "anna") -> Click:
    return Click(f"click-{number}", user_id, item_id, NOW_MS - 1000 + number)


def test_rows_are_written_after_the_messages(worker: Worker) -> None:
    worker.process(record(click(1), 0))

    assert [name for name, _ in worker.done.steps] == ["read", "messages", "states", "lists", "features"]


def test_user_with_five_events_in_a_batch_is_scored_once(worker: Worker) -> None:
    worker.process(*(record(click(number), number) for number in range(5)), record(click(9, user_id="bert"), 5))

    assert worker.recommender.scored == [2]
    assert len(worker.done.of("lists")) == 2
    assert len(worker.done.of("features")) == 2
    assert len(worker.done.of("states")) == 2
    assert [value["caused_by"] for value in worker.values("recommendations")] == ["click-4", "click-9"]
    assert worker.state().totals.clicks == 5


def test_list_features_score_and_notice_are_of_the_same_moment(worker: Worker) -> None:
    worker.process(record(click(1), 0))

    (row,), (features,) = worker.done.of("lists"), worker.done.of("features")
    (score,), (notice,) = worker.values("scores"), worker.values("recommendations")
    assert row.caused_by == score["caused_by"] == notice["caused_by"] == "click-1"
    assert row.event_at_ms == score["occurred_at_ms"] == features.event_ms == click(1).occurred_at_ms
    assert row.list_id == notice["list_id"]
    assert row.model_version == score["model_version"] == "recommender-1"
    assert score["features"] == dict(zip(NUMERIC_NAMES, features.row.numbers.tolist(), strict=True))
    assert score["label"] == "high"


def test_all_writes_of_a_user_carry_one_stamp_that_rises(worker: Worker) -> None:
    worker.process(record(click(1), 7))
    worker.process(record(click(2), 9))

    of_features, of_states = ([row.write_us for row in worker.done.of(kind)] for kind in ("features", "states"))
    assert of_features == of_states
    assert worker.stamps.fences([0])[0] < of_states[0] < of_states[1]


def test_former_owner_that_knows_more_of_another_topic_loses(worker: Worker, make: Callable[..., Worker]) -> None:
    """The offsets of two topics are in no order: the sum of them says nothing about who is ahead."""
    cart = Cart("cart-1", "anna", "cup", "add", 1, 1.0, NOW_MS)
    former = asyncio.run(worker.flow.prepare([record(click(number), number) for number in range(5)]))

    make(worker.store, worker.done).process(record(cart, 0))
    asyncio.run(worker.flow.announce(former))
    asyncio.run(worker.flow.write(former))

    assert worker.state().totals.adds == 1
    assert worker.state().offsets == {"carts-0": 0}
    assert worker.store.lists["anna"].caused_by == "cart-1"


def test_batch_is_prepared_on_the_state_of_one_not_yet_written(worker: Worker) -> None:
    async def scenario() -> None:
        first = await worker.flow.prepare([record(click(1), 0)])
        second = await worker.flow.prepare([record(click(2), 1)])
        # However the two writes race, the later batch stays.
        await worker.flow.announce(second)
        await worker.flow.write(second)
        await worker.flow.announce(first)
        await worker.flow.write(first)

    asyncio.run(scenario())

    assert worker.state().totals.clicks == 2
    assert worker.store.lists["anna"].caused_by == "click-2"
    assert worker.done.of("read") == ["anna"]


def test_user_whose_rows_may_be_lost_stays_in_memory(make: Callable[..., Worker]) -> None:
    """Read from Cassandra, the state might be older than what this worker has done."""
    worker = make()
    worker.flow.cache = StateCache(1)

    async def scenario() -> None:
        first = await worker.flow.prepare([record(click(1), 0)])
        await worker.flow.announce(first)
        await worker.flow.write(first)
        await worker.through([record(click(2, user_id="bert"), 1)])
        assert worker.flow.cache.get("anna") is not None
        worker.flow.settled(first)

    asyncio.run(scenario())

    assert len(worker.flow.cache) == 1


def test_batch_bears_the_fences_under_which_it_is_written(worker: Worker) -> None:
    batch = asyncio.run(worker.flow.prepare([record(click(1), 0, partition=3), record(click(2, "cup", "bert"), 0, 5)]))
    drawn = worker.stamps.fences([3, 5])
    worker.draw_fence()

    assert batch.fences == drawn
    assert worker.stamps.fences([3, 5]) != drawn


def test_record_of_a_partition_without_a_fence_is_not_touched(worker: Worker) -> None:
    with pytest.raises(FenceError, match=r"partitions \[9\]: saw no fence"):
        worker.process(record(click(1), 0, partition=9))
    assert worker.done.steps == []


def test_event_delivered_again_has_no_effect_at_all(worker: Worker, make: Callable[..., Worker]) -> None:
    worker.process(record(click(1), 0), record(click(2), 1))
    written = dict(worker.store.states)
    worker.done.steps.clear()

    restarted = make(worker.store, worker.done)
    restarted.process(record(click(1), 0), record(click(2), 1))

    assert worker.store.states == written
    assert [name for name, all_of_it in worker.done.steps if all_of_it] == ["read", "causes"]
    assert restarted.count("events", topic="clicks", outcome="duplicate") == 2
    assert restarted.popularity.state("tent").totals.clicks == 0


def test_event_sent_twice_counts_once_and_moves_the_offset_alone(worker: Worker) -> None:
    worker.process(record(click(1), 0), record(click(2), 1))
    worker.done.steps.clear()
    worker.process(record(click(1), 2))

    assert worker.state().totals.clicks == 2
    assert worker.state().offsets == {"clicks-0": 2}
    # A second list or score would bear the name of the old event.
    assert worker.done.of("lists") == worker.values("scores") == worker.values("recommendations") == []
    assert worker.popularity.state("tent").totals.clicks == 2
    assert worker.count("events", topic="clicks", outcome="applied") == 2
    assert worker.count("events", topic="clicks", outcome="duplicate") == 1


def test_crash_before_the_rows_are_written_repeats_the_work(worker: Worker, make: Callable[..., Worker]) -> None:
    worker.store.fail_writes = RuntimeError("the power went out")
    with pytest.raises(RuntimeError, match="power"):
        worker.process(record(click(1), 0), record(click(2, user_id="bert"), 1))
    first = [message for message in worker.done.of("messages") if message.topic not in COUNTS]
    worker.done.steps.clear()

    # Delivered again to another worker, with more in the batch.
    restarted = make(worker.store, worker.done)
    restarted.process(record(click(1), 0), record(click(2, user_id="bert"), 1), record(click(3, user_id="carl"), 2))

    repeated = [
        message for message in worker.done.of("messages") if message.topic not in ("item-counts", "pair-counts")
    ]
    assert repeated[: len(first)] == first
    assert restarted.state("anna").totals.clicks == 1
    assert restarted.state("bert").totals.clicks == 1
    assert worker.store.lists.keys() == {"anna", "bert", "carl"}


def test_trigger_repeated_after_a_crash_has_the_same_id(worker: Worker, make: Callable[..., Worker]) -> None:
    worker.store.fail_writes = RuntimeError("the power went out")
    with pytest.raises(RuntimeError, match="power"):
        worker.process(record(click(1), 0))
    make(worker.store, worker.done).process(record(click(1), 0), record(click(2), 1))
    make(worker.store, worker.done).process(record(click(3), 2))

    first, repeated = worker.values("triggers")
    assert first["trigger_id"] == repeated["trigger_id"]
    assert (first["caused_by"], repeated["caused_by"]) == ("click-1", "click-2")


def test_state_is_read_once_and_then_cached(worker: Worker) -> None:
    for number in range(3):
        worker.process(record(click(number), number))

    assert worker.done.of("read") == ["anna"]


def test_list_that_was_lost_while_its_state_was_kept_is_made_again(worker: Worker, make: Callable[..., Worker]) -> None:
    """Cassandra is killed with a list in memory; what moves the state alone is then written by who remembers it."""
    first, second = record(click(1), 0), record(click(2, "cup"), 1)
    shown = record(Impression("shown-1", "anna", "home", ("rug",), NOW_MS), 0)
    worker.process(first)
    before = worker.store.lists["anna"]
    worker.process(second)
    worker.process(shown)
    worker.store.lists["anna"] = before

    successor = make(worker.store, worker.done)
    successor.process(second, shown)

    assert worker.store.lists["anna"].caused_by == "click-2"
    assert [value["caused_by"] for value in worker.values("recommendations")] == ["click-1", "click-2", "click-2"]
    assert successor.state().totals.clicks == 2


def test_list_that_is_there_is_not_made_again(worker: Worker, make: Callable[..., Worker]) -> None:
    again = record(click(1), 0)
    worker.process(again)
    worker.process(record(Impression("shown-1", "anna", "home", ("rug",), NOW_MS), 0))

    successor = make(worker.store, worker.done)
    successor.process(again)
    successor.process(again)

    assert len(worker.values("recommendations")) == 1
    assert len(worker.done.of("causes")) == 2


def test_state_is_read_again_after_the_partition_changed_hands(worker: Worker, make: Callable[..., Worker]) -> None:
    worker.process(record(click(1), 0))
    worker.flow.cache.drop_partitions([0])
    make(worker.store, worker.done).process(record(click(2), 1))

    worker.flow.cache.drop_partitions([0])
    worker.draw_fence()
    worker.process(record(click(3), 2))

    assert worker.done.of("read") == ["anna", "anna", "anna"]
    assert worker.state().totals.clicks == 3


def test_state_read_while_the_partition_changed_hands_is_not_kept(worker: Worker) -> None:
    read = worker.store.read_states

    def read_slowly(user_ids: Sequence[str]) -> Any:
        states = read(user_ids)
        worker.flow.cache.drop_partitions([0])
        return states

    worker.store.read_states = read_slowly  # type: ignore[method-assign]
    worker.process(record(click(1), 0))

    assert worker.flow.cache.get("anna") is None


def test_offsets_of_topics_that_were_made_again_are_forgotten(worker: Worker, make: Callable[..., Worker]) -> None:
    """The new topic begins at offset 0: its events would look old."""
    worker.process(record(click(1), 500))

    later = make(worker.store, worker.done, EPOCH_US + 1_000_000)
    later.process(record(click(2), 0))

    assert later.state().totals.clicks == 2
    assert later.state().offsets == {"clicks-0": 0}
    assert worker.store.lists["anna"].caused_by == "click-2"


def test_impression_is_remembered_and_makes_no_list(worker: Worker) -> None:
    worker.process(record(click(1), 0))
    worker.done.steps.clear()

    worker.process(record(Impression("shown", "anna", "l1", ("tent", "cup"), NOW_MS), 0))

    assert worker.state().totals.impressions == 1
    assert worker.done.of("lists") == worker.values("recommendations") == worker.values("scores") == []
    (features,) = worker.done.of("features")
    assert features.row.as_dict()["impressions_24h"] == 1


def test_impression_in_a_batch_with_a_click_does_not_become_the_cause(worker: Worker) -> None:
    worker.process(record(click(1), 0), record(Impression("shown", "anna", "l1", ("tent",), NOW_MS), 0))

    assert [row.caused_by for row in worker.done.of("lists")] == ["click-1"]


def test_reviews_mood_reaches_the_state_and_the_scores(worker: Worker) -> None:
    worker.process(record(Review("r1", "anna", "tent", "good tent", NOW_MS), 0))

    sentiment, propensity = worker.values("scores")
    assert (sentiment["kind"], sentiment["value"], sentiment["label"]) == ("sentiment", 0.75, "positive")
    assert sentiment["score_id"] == "sentiment:r1"
    assert propensity["features"]["mood_last"] == 0.75
    assert worker.state().moods[0].score_milli == 750


def test_without_an_aspects_model_a_review_makes_a_score_of_its_mood_alone(worker: Worker) -> None:
    worker.process(record(Review("r1", "anna", "tent", "good product, slow delivery", NOW_MS), 0))

    assert [score["kind"] for score in worker.values("scores")] == ["sentiment", "propensity"]


def test_aspects_model_says_of_each_review_what_it_is_about(worker: Worker) -> None:
    worker.serving.models = replace(worker.serving.models, aspects=FakeAspects())  # type: ignore[arg-type]
    worker.process(
        record(Review("r1", "anna", "tent", "good product, fine delivery", NOW_MS), 0),
        record(Review("r2", "anna", "cup", "good", NOW_MS), 1),
        record(click(1), 0),
    )

    first, second = (score for score in worker.values("scores") if score["kind"] == "aspects")
    assert (first["score_id"], first["caused_by"], first["item_id"]) == ("aspects:r1", "r1", "tent")
    assert (first["label"], first["model_version"]) == ("product, delivery", "aspects-1")
    assert [each["aspect"] for each in first["aspects"]] == ["product", "delivery"]
    assert (second["label"], second["aspects"], second["value"]) == ("none", [], 0.0)
    assert worker.state().moods[0].score_milli == 750  # what the state learns of a review stays its sentiment


def test_replayed_review_is_about_the_same_under_the_same_id(worker: Worker) -> None:
    worker.serving.models = replace(worker.serving.models, aspects=FakeAspects())  # type: ignore[arg-type]
    review = record(Review("r1", "anna", "tent", "good delivery", NOW_MS), 0)
    worker.process(review)
    worker.process(review)

    first, second = (score for score in worker.values("scores") if score["kind"] == "aspects")
    assert first == second


def test_bad_records_become_dead_letters_and_the_good_ones_go_on(worker: Worker) -> None:
    bad = [
        Record("clicks", 0, 0, NOW_MS, b"anna", b"not JSON"),
        Record("carts", 2, 5, NOW_MS, b"bert", None),
        Record("clicks", 0, 1, NOW_MS, b"somebody", encode(click(1))),
    ]

    worker.process(bad[0], record(click(1), 2), *bad[1:])

    letters = worker.values("dead-letters")
    assert [(letter["topic"], letter["offset"], letter["field"]) for letter in letters] == [
        ("clicks", 0, "value"),
        ("carts", 5, "value"),
        ("clicks", 1, "key"),
    ]
    assert worker.state().totals.clicks == 1
    assert worker.count("events", topic="clicks", outcome="dead_letter") == 2
    assert worker.count("dead_letters", topic="carts", field="value") == 1


def test_batch_of_nothing_but_bad_records_writes_nothing_else(worker: Worker) -> None:
    worker.process(Record("clicks", 0, 0, NOW_MS, b"anna", b"{"))

    assert [name for name, all_of_it in worker.done.steps if all_of_it] == ["messages"]


def test_time_ahead_of_the_brokers_is_clamped_and_counted(worker: Worker) -> None:
    ahead = Click("c", "anna", "tent", NOW_MS + 10_000_000)

    worker.process(record(ahead, 0))

    assert worker.state().newest_ms == NOW_MS
    assert worker.count("clamped_times") == 1


def test_purchase_takes_the_item_out_of_the_next_list(worker: Worker) -> None:
    worker.process(record(click(1), 0))
    worker.process(record(Cart("p1", "anna", "tent", "purchase", 1, 1.0, NOW_MS), 0))

    before, after = worker.done.of("lists")
    assert [place.item_id for place in before.items] == ["tent", "cup"]
    assert [place.item_id for place in after.items] == ["cup", "rug"]


def test_counts_of_items_are_published_with_the_batch(worker: Worker) -> None:
    worker.process(record(click(1), 0), record(click(2, "cup"), 1))

    counts = [message for message in worker.done.of("messages") if message.topic == "item-counts"]
    assert [message.key for message in counts] == [b'["cup",0]', b'["tent",0]']


def test_cassandra_away_holds_the_batch_until_it_is_back(worker: Worker) -> None:
    worker.store.fail_writes = NoHostAvailable("no host", {})

    worker.process(record(click(1), 0))

    assert worker.state().totals.clicks == 1


def test_freshness_is_observed_for_each_event_that_makes_a_list(worker: Worker) -> None:
    worker.process(record(click(1), 0), record(click(2), 1), record(Impression("i", "bert", "l", (), NOW_MS), 0))

    assert worker.metrics.registry.get_sample_value("lastclick_freshness_seconds_count") == 2


def test_messages_are_bytes_under_the_users_key(worker: Worker) -> None:
    worker.process(record(click(1), 0))

    of_users = [
        message for message in worker.done.of("messages") if message.topic not in ("item-counts", "pair-counts")
    ]
    assert {message.key for message in of_users} == {b"anna"}
    assert all(isinstance(message, Message) and isinstance(message.value, bytes) for message in of_users)


def test_pair_of_redelivered_events_counts_once(make: Callable[..., Worker]) -> None:
    """The first worker published its counts and died before it wrote the states."""
    first = make()
    events = [
        record(Cart(f"e{n}", "anna", item_id, "add", 1, 1.0, NOW_MS - 9 + n), n)
        for n, item_id in enumerate(("tent", "cup", "tent"))
    ]

    async def announce_only() -> None:
        await first.flow.announce(await first.flow.prepare(events))

    asyncio.run(announce_only())
    second = make()
    for message in first.done.of("messages"):
        if message.topic == "pair-counts":
            second.pairs.apply(consumed(message.key, message.value))
    second.process(*events, *events)

    def counted(worker: Worker) -> dict[bytes, PairState]:
        return {
            message.key: decode_pair_state(message.value or b"")
            for message in worker.done.of("messages")
            if message.topic == "pair-counts"
        }

    (seen,) = [state for state in counted(first).values() if state.partners]
    assert seen.partners == {"tent": weight_at(NOW_MS)}
    assert counted(second) == {}
