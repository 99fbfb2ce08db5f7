"""What an operator wants to see: the broker, the workers' metrics and run files in; one document out. Blocks.

Rates and freshness are those between this look and an older one, so that the page shows now and not the mean since the
start.
"""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from kafka import TopicPartition
from kafka.admin import KafkaAdminClient, OffsetSpec
from prometheus_client.parser import text_string_to_metric_families

from streams.lag import GroupLag
from streams.releases import Release
from streams.run_files import WorkerRun, running_workers
from streams.settings import Settings
from streams.topics import DEAD_LETTERS, ITEMS, TOPICS, USER_TOPICS

WINDOW_S = 60.0
"""Seconds that freshness is measured over."""

RATE_S = 5.0
"""Seconds that rates are measured over."""

TIMEOUT_S = 1.0
BROKER_TIMEOUT_MS = 3_000
"""An operator wants to be told that the broker is away, rather than to wait for it."""
FRESHNESS = "lastclick_freshness_seconds_bucket"


class TopicGauge(msgspec.Struct, frozen=True):
    """A topic: records it holds, those that the workers have not taken in yet (None: they do not read it), and rate."""

    topic: str
    records: int
    lag: int | None
    rate_s: float


class Bucket(msgspec.Struct, frozen=True):
    """Events whose list was written within ``le_ms`` (None: later than all) but not within the bucket before."""

    le_ms: float | None
    count: int


class Freshness(msgspec.Struct, frozen=True):
    """From an event's append until its list was written, over the last minute; None when there was no event.

    At the first look, which knows no minute, since the workers were started.
    """

    p50_ms: float | None
    p99_ms: float | None
    buckets: list[Bucket]


class DeadLetterCount(msgspec.Struct, frozen=True):
    """Records on the dead letters."""

    count: int


class Operations(msgspec.Struct, frozen=True):
    """The flow at one moment."""

    at_ms: int
    topics: list[TopicGauge]
    freshness: Freshness
    workers: list[WorkerRun]
    models: dict[str, str]
    releases: dict[str, Release]
    dead_letters: DeadLetterCount


@dataclass(frozen=True)
class _Look:
    """What was seen at a time of the clock: records ever appended by topic, and events by bound of freshness, s."""

    at_s: float
    appended: dict[str, int]
    fresh: dict[float, float]


class Gauges:
    """Looks at the flow, from one thread at a time.

    Parameters
    ----------
    settings
        Addresses and the folder of run files.
    releases
        Gives what is released, by the model's name.
    clock
        Gives seconds, never backwards.
    """

    def __init__(
        self,
        settings: Settings,
        releases: Callable[[], Mapping[str, Release]],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings, self._releases, self._clock = settings, releases, clock
        self._looks: deque[_Look] = deque()
        self._admin: KafkaAdminClient | None = None
        self._lag: GroupLag | None = None

    def look(self) -> Operations:
        """Look once.

        Raises
        ------
        kafka.errors.KafkaError
            When the broker does not answer.
        """
        names = [topic.name for topic in TOPICS]
        begins, ends = self._offsets(names)
        workers = running_workers(self._settings.run)
        seen = _Look(self._clock(), ends, fresh_counts(workers))
        lags = self._group_lag().by_topic([*USER_TOPICS, ITEMS])
        self._keep(seen)
        before = next((look for look in self._looks if seen.at_s - look.at_s <= RATE_S), seen)
        seconds = seen.at_s - before.at_s
        topics = [
            TopicGauge(
                name,
                ends[name] - begins[name],
                lags.get(name),
                round((ends[name] - before.appended[name]) / seconds, 1) if seconds else 0.0,
            )
            for name in names
        ]
        return Operations(
            at_ms=time.time_ns() // 1_000_000,
            topics=topics,
            freshness=freshness(self._looks[0].fresh if len(self._looks) > 1 else {}, seen.fresh),
            workers=workers,
            models=workers[0].models if workers else {},
            releases=dict(self._releases()),
            dead_letters=DeadLetterCount(ends[DEAD_LETTERS] - begins[DEAD_LETTERS]),
        )

    def close(self) -> None:
        """Close the connections."""
        if self._admin is not None:
            self._admin.close()
            self._admin = None
        if self._lag is not None:
            self._lag.close()
            self._lag = None

    def _keep(self, seen: _Look) -> None:
        self._looks.append(seen)
        while seen.at_s - self._looks[0].at_s > WINDOW_S:
            self._looks.popleft()

    def _offsets(self, names: list[str]) -> tuple[dict[str, int], dict[str, int]]:
        """First and next offsets of topics, summed over their partitions."""
        if self._admin is None:
            self._admin = KafkaAdminClient(
                bootstrap_servers=self._settings.kafka.split(","),
                client_id="lastclick-api-gauges",
                request_timeout_ms=BROKER_TIMEOUT_MS,
                bootstrap_timeout_ms=BROKER_TIMEOUT_MS,
            )
        partitions = [
            TopicPartition(topic["name"], partition["partition_index"])
            for topic in self._admin.describe_topics(names)
            for partition in topic["partitions"]
        ]
        sums = []
        for spec in (OffsetSpec.EARLIEST, OffsetSpec.LATEST):
            total = dict.fromkeys(names, 0)
            for partition, found in self._admin.list_partition_offsets(dict.fromkeys(partitions, spec)).items():
                total[partition.topic] += max(0, found.offset)
            sums.append(total)
        return sums[0], sums[1]

    def _group_lag(self) -> GroupLag:
        if self._lag is None:
            self._lag = GroupLag(self._settings)
        return self._lag


def fresh_counts(workers: list[WorkerRun]) -> dict[float, float]:
    """Events of all workers by the bound of freshness, in seconds, that they kept; those of smaller bounds included."""
    counts: dict[float, float] = {}
    for worker in workers:
        for sample in _samples(worker.metrics_port):
            if sample.name == FRESHNESS:
                bound = float(sample.labels["le"])
                counts[bound] = counts.get(bound, 0.0) + sample.value
    return counts


def freshness(before: Mapping[float, float], now: Mapping[float, float]) -> Freshness:
    """Freshness of the events between two looks; each bound's count includes those of the smaller ones."""
    # A worker that was started anew counts from 0 again.
    gained = {bound: max(0.0, now[bound] - before.get(bound, 0.0)) for bound in sorted(now)}
    buckets, below = [], 0.0
    for bound, count in gained.items():
        le_ms = None if bound == float("inf") else bound * 1000
        buckets.append(Bucket(le_ms, round(max(0.0, count - below))))
        below = max(below, count)
    return Freshness(quantile_ms(gained, 0.5), quantile_ms(gained, 0.99), buckets)


def quantile_ms(counts: Mapping[float, float], share: float) -> float | None:
    """Quantile of a cumulative histogram with bounds in seconds, evenly spread within a bucket; None of none."""
    total = max(counts.values(), default=0.0)
    if not total:
        return None
    lower, below = 0.0, 0.0
    for bound, count in counts.items():
        if count >= share * total:
            if bound == float("inf"):
                return lower * 1000
            part = (share * total - below) / (count - below) if count > below else 1.0
            return round((lower + (bound - lower) * part) * 1000, 3)
        lower, below = bound, count
    return lower * 1000


def _samples(port: int) -> list[Any]:
    """Samples of a worker's metrics; none of one that has just ended."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=TIMEOUT_S) as answer:
            text = answer.read().decode()
    except (urllib.error.URLError, TimeoutError, ConnectionError):
        return []
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]
