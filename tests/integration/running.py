"""Workers under their supervisor: settings and a count in; processes that surely end, their lag and counters out."""

from __future__ import annotations

import threading
import urllib.request
from collections import Counter
from collections.abc import Callable
from typing import Any

from kafka import TopicPartition
from kafka.admin import KafkaAdminClient
from prometheus_client.parser import text_string_to_metric_families

from streams.lag import GroupLag
from streams.run_files import WorkerRun
from streams.settings import Settings
from streams.supervisor import Supervisor
from streams.topics import ITEMS, USER_TOPICS
from tests.waiting import wait_until

START_TIMEOUT_S = 240.0
"""A cold start on two shared cores, of several workers at once."""


class Workers:
    """Some workers, kept alive by a supervisor in a thread of its own."""

    def __init__(self, settings: Settings, count: int) -> None:
        self.settings, self.count = settings, count
        self.said: list[str] = []
        self._supervisor = Supervisor(settings, count, self.said.append)
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._ready = threading.Event()
        self._failure: BaseException | None = None

    def start(self) -> None:
        """Start, and return when all are ready. The thread that starts them outlives them: they die with it."""
        self._thread.start()
        wait_until(lambda: self._ready.is_set() or self._failure, START_TIMEOUT_S + 10, "workers that are ready")
        self._raise_failure()

    def stop(self) -> None:
        """End all processes."""
        self._supervisor.request_stop()
        self._thread.join(60)
        self._supervisor.stop()

    def ready(self) -> list[WorkerRun]:
        """Workers that process events now."""
        self._raise_failure()
        return self._supervisor.ready()

    def all_ready(self) -> bool:
        """Whether every one of them processes events now."""
        return len(self.ready()) == self.count

    @property
    def restarts(self) -> int:
        """How often one was started again."""
        return self._supervisor.restarts

    def wait_drained(self, seconds: float = 120) -> None:
        """Return when the group has committed every record of the input topics."""
        topics = (*USER_TOPICS, ITEMS)
        with GroupLag(self.settings) as group:

            def drained() -> bool:
                self._raise_failure()
                return not any(group.by_topic(topics).values())

            wait_until(drained, seconds, "workers that have taken everything", 0.2)

    def committed(self) -> int:
        """Records of the user topics that the group has committed so far."""
        partitions = [TopicPartition(topic, n) for topic in USER_TOPICS for n in range(self.settings.partitions)]
        admin = KafkaAdminClient(bootstrap_servers=self.settings.kafka)
        try:
            offsets = admin.list_group_offsets({self.settings.group: partitions})[self.settings.group]
        finally:
            admin.close()
        return sum(max(0, committed.offset) for committed in offsets.values())

    def counters_by_worker(self) -> dict[int, Counter[tuple[str, ...]]]:
        """Each worker's counters, by name and values of the labels in the order of the labels' names."""
        found = {}
        for worker in self.ready():
            samples = [sample for sample in _samples(worker) if sample.name.endswith("_total")]
            found[worker.instance] = Counter(
                {(s.name, *(value for _, value in sorted(s.labels.items()))): int(s.value) for s in samples}
            )
        return found

    def counters(self) -> Counter[tuple[str, ...]]:
        """Sum of the workers' counters."""
        return sum(self.counters_by_worker().values(), Counter())

    def longest_in(self, histogram: str) -> float:
        """Bound of the highest bucket of a histogram that any worker has counted into."""
        longest = 0.0
        for worker in self.ready():
            counted = 0.0
            for sample in _samples(worker):
                if sample.name == f"{histogram}_bucket":
                    if sample.value > counted:
                        longest = max(longest, float(sample.labels["le"]))
                    counted = sample.value
        return longest

    def outcomes(self) -> Counter[str]:
        """Events of the user topics by what became of them: applied, duplicate, dead_letter."""
        total: Counter[str] = Counter()
        for (name, *labels), value in self.counters().items():
            if name == "lastclick_events_total" and labels[1] in USER_TOPICS:
                total[labels[0]] += value
        return total

    def _watch(self) -> None:
        try:
            self._supervisor.start()
            self._supervisor.wait_ready(START_TIMEOUT_S)
            self._ready.set()
            self._supervisor.run()
        except BaseException as error:  # noqa: BLE001  # raised again in the thread that waits
            self._failure = error

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise RuntimeError(f"the workers failed: {self._failure}") from self._failure


def _samples(worker: WorkerRun) -> list[Any]:
    """All samples of a worker's metrics."""
    with urllib.request.urlopen(f"http://127.0.0.1:{worker.metrics_port}/metrics", timeout=30) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        return [sample for family in families for sample in family.samples]


class Fleet:
    """At most one set of workers at a time: they are one consumer group."""

    def __init__(self) -> None:
        self._running: Workers | None = None

    def of(self, settings: Settings, count: int, wanted: Callable[[Workers], bool] = lambda workers: True) -> Workers:
        """Return running workers of these settings, those that run if they are such and wanted."""
        running = self._running
        if running and (running.settings, running.count) == (settings, count) and wanted(running):
            return running
        self.stop()
        self._running = Workers(settings, count)
        self._running.start()
        return self._running

    def finish(self) -> None:
        """Return when the workers, if any run, have taken everything: what a test leaves is cleared away."""
        if self._running is not None:
            self._running.wait_drained()

    def stop(self) -> None:
        """End the workers, if any run."""
        if self._running is not None:
            self._running.stop()
            self._running = None
