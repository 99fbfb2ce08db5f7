"""The output topics, read as any consumer of them would: records in; counts, sentiments and the followed story out."""

from __future__ import annotations

import base64
import threading
import time
from collections import Counter
from dataclasses import dataclass, field

import msgspec
from kafka import KafkaConsumer, TopicPartition

from streams.demo.story import Sentiment, Story
from streams.item_lists import POPULAR_SCENE
from streams.messages import DeadLetter, ListNotice
from streams.settings import Settings
from streams.store import Store
from streams.topics import DEAD_LETTERS, RECOMMENDATIONS, SCORES, TRIGGERS
from streams.triggers import Trigger

TOPICS = (SCORES, TRIGGERS, RECOMMENDATIONS, DEAD_LETTERS)
POLL_MS = 50
READ_AGAIN_S = 2.0
FINISH_S = 20.0


class SeenScore(msgspec.Struct):
    """What the demo wants of a score: not the features."""

    user_id: str
    kind: str
    value: float
    label: str
    caused_by: str


@dataclass
class Seen:
    """What came on the output topics since the demo began."""

    dead_letters: dict[tuple[str, int, int], DeadLetter] = field(default_factory=dict)
    """By topic, partition and offset of the original: a repeated one counts once."""
    last_dead_letter: DeadLetter | None = None
    triggers: Counter[str] = field(default_factory=Counter)
    """Distinct triggers by rule."""
    last_trigger: Trigger | None = None
    sentiments: dict[str, Sentiment] = field(default_factory=dict)
    """By event_id of the review."""
    trigger_ids: set[str] = field(default_factory=set)


class OutputWatch:
    """A thread that reads the output topics from where they end now.

    Parameters
    ----------
    settings
        Where Kafka and Cassandra are.
    story
        Told what concerns the shopper it is about.
    prefix
        Of the demo's own user_ids: what concerns others is left alone.
    """

    def __init__(self, settings: Settings, story: Story, prefix: str = "") -> None:
        self.seen = Seen()
        self.failure: Exception | None = None
        self._story = story
        self._prefix = prefix
        self._store = Store(settings)
        self._consumer = KafkaConsumer(
            bootstrap_servers=settings.kafka.split(","),
            client_id="lastclick-demo",
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="latest",
            fetch_max_wait_ms=POLL_MS,
        )
        self._assign()
        self._to_follow: str | None = None
        self._expected: tuple[ListNotice, float] | None = None
        self._finish = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch outputs", daemon=True)
        self._thread.start()

    def follow(self, user_id: str) -> None:
        """Follow another shopper; safe from any thread."""
        self._to_follow = user_id

    def finish(self) -> None:
        """Return when all that is on the topics now has been seen."""
        self._finish.set()
        self._thread.join(FINISH_S)

    def close(self) -> None:
        """End the thread and its connections."""
        self._stop.set()
        self._thread.join(FINISH_S)
        self._consumer.close()
        self._store.close()

    def _assign(self) -> None:
        partitions = [
            TopicPartition(topic, partition)
            for topic in TOPICS
            for partition in sorted(self._consumer.partitions_for_topic(topic) or ())
        ]
        self._consumer.assign(partitions)
        for partition, end in self._consumer.end_offsets(partitions).items():
            self._consumer.seek(partition, end)

    def _run(self) -> None:
        try:
            while not self._stop.is_set():
                self._poll()
                if self._finish.is_set() and self._caught_up():
                    return
        except Exception as error:  # noqa: BLE001 - the thread's edge: the main thread raises it again
            self.failure = error

    def _poll(self) -> None:
        if self._to_follow is not None:
            user_id, self._to_follow = self._to_follow, None
            found = self._store.read_list(user_id)
            self._story.begin(user_id, found.items if found else self._store.read_item_list(POPULAR_SCENE))
        for records in self._consumer.poll(timeout_ms=POLL_MS, max_records=2_000).values():
            for record in records:
                self._take(record.topic, record.key, record.value)
        if self._expected is not None:
            self._read_list(*self._expected)

    def _take(self, topic: str, key: bytes | None, value: bytes) -> None:
        if topic == DEAD_LETTERS:
            self._take_dead_letter(msgspec.json.decode(value, type=DeadLetter))
        elif key is None or not key.startswith(self._prefix.encode()):
            return
        elif topic == SCORES:
            self._take_score(msgspec.json.decode(value, type=SeenScore))
        elif topic == TRIGGERS:
            trigger = msgspec.json.decode(value, type=Trigger)
            if trigger.trigger_id not in self.seen.trigger_ids:
                self.seen.trigger_ids.add(trigger.trigger_id)
                self.seen.triggers[trigger.rule] += 1
                self.seen.last_trigger = trigger
        elif key == self._story.user_id.encode():
            self._expected = msgspec.json.decode(value, type=ListNotice), time.time()

    def _take_dead_letter(self, letter: DeadLetter) -> None:
        if base64.b64decode(letter.key_base64 or "").startswith(self._prefix.encode()):
            self.seen.dead_letters[letter.topic, letter.partition, letter.offset] = letter
            self.seen.last_dead_letter = letter

    def _take_score(self, score: SeenScore) -> None:
        if score.kind == "sentiment":
            self.seen.sentiments[score.caused_by] = Sentiment(score.value, score.label)
            self._story.reviewed(score.caused_by, self.seen.sentiments[score.caused_by])
        elif score.kind == "propensity" and score.user_id == self._story.user_id:
            self._story.scored(score.caused_by, score.value)

    def _read_list(self, notice: ListNotice, since_s: float) -> None:
        """Read the list that a notice announced; the notice may be there before the row is."""
        found = self._store.read_list(notice.user_id, notice.scene)
        now_s = time.time()
        if found is not None and found.list_id == notice.list_id:
            self._story.listed(notice.caused_by, found.items, now_s)
        elif now_s - since_s < READ_AGAIN_S:
            return
        self._expected = None

    def _caught_up(self) -> bool:
        ends = self._consumer.end_offsets(list(self._consumer.assignment()))
        return all(self._consumer.position(partition) >= end for partition, end in ends.items())
