"""Readings of what runs: the workers' metrics and the group's progress in; differences over a window out."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Callable
from typing import Protocol

from kafka import TopicPartition
from kafka.admin import KafkaAdminClient, OffsetSpec
from prometheus_client.parser import text_string_to_metric_families

from streams.run_files import WorkerRun
from streams.settings import Settings
from streams.topics import USER_TOPICS

Key = tuple[str, ...]


class Running(Protocol):
    """Workers, as far as their metrics are asked for."""

    def ready(self) -> list[WorkerRun]:
        """Those that process events now."""
        ...


class Metrics:
    """The workers' metrics, summed over the workers: name and label values -> number."""

    def __init__(self, workers: Running) -> None:
        self._values: dict[Key, float] = {}
        for worker in workers.ready():
            with urllib.request.urlopen(f"http://127.0.0.1:{worker.metrics_port}/metrics", timeout=30) as answer:
                for family in text_string_to_metric_families(answer.read().decode()):
                    for sample in family.samples:
                        key = (sample.name, *(value for _, value in sorted(sample.labels.items())))
                        self._values[key] = self._values.get(key, 0.0) + sample.value

    def since(self, before: Metrics) -> Metrics:
        """What came after an earlier reading."""
        after = object.__new__(Metrics)
        after._values = {key: value - before._values.get(key, 0.0) for key, value in self._values.items()}
        return after

    def sum_and_count(self, histogram: str, *labels: str) -> tuple[float, float]:
        """Sum and count of a histogram."""
        return (
            self._values.get((f"{histogram}_sum", *labels), 0.0),
            self._values.get((f"{histogram}_count", *labels), 0.0),
        )

    def labels(self, name: str) -> list[Key]:
        """Label values under which a sample of this name exists, in the order of the worker."""
        return [key[1:] for key in self._values if key[0] == name]

    def total(self, name: str) -> float:
        """Sum of a counter over its labels."""
        return sum(value for key, value in self._values.items() if key[0] == name)

    def bucket_quantile(self, histogram: str, share: float) -> float:
        """Upper bound of the bucket in which this share of the observations is reached."""
        buckets = sorted(
            (float(key[1]), value) for key, value in self._values.items() if key[0] == f"{histogram}_bucket"
        )
        wanted = share * buckets[-1][1] if buckets else 0.0
        return next((bound for bound, count in buckets if count >= wanted and wanted), float("nan"))


class Progress:
    """What the broker knows of a group: records appended to the user topics, and committed by the group."""

    def __init__(self, settings: Settings) -> None:
        self._group = settings.group
        self._admin = KafkaAdminClient(bootstrap_servers=settings.kafka, client_id="bench-progress")
        self._partitions = [TopicPartition(topic, n) for topic in USER_TOPICS for n in range(settings.partitions)]

    def committed(self) -> int:
        """Records up to the group's commits."""
        offsets = self._admin.list_group_offsets({self._group: self._partitions})[self._group]
        return sum(max(0, offset.offset) for offset in offsets.values())

    def appended(self) -> int:
        """Records up to the ends of the topics."""
        ends = self._admin.list_partition_offsets(dict.fromkeys(self._partitions, OffsetSpec.LATEST))
        return sum(int(end.offset) for end in ends.values())

    def lag(self) -> int:
        """Records appended and not committed."""
        return self.appended() - self.committed()

    def wait_drained(self, seconds: float, while_waiting: Callable[[], object] = lambda: None) -> float | None:
        """Return the monotonic time at which nothing is left, None when something still is after ``seconds``."""
        deadline_s = time.monotonic() + seconds
        end = self.appended()
        while time.monotonic() < deadline_s:
            if self.committed() >= end:
                return time.monotonic()
            while_waiting()
            time.sleep(0.1)
        return None

    def close(self) -> None:
        """Close the connection."""
        self._admin.close()
