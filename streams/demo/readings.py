"""The workers' Prometheus endpoints in; counts, lag, freshness and models of all workers together out."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException

from prometheus_client.parser import text_string_to_metric_families

from streams.demo.histogram import Histogram, together
from streams.run_files import WorkerRun
from streams.topics import USER_TOPICS

INTERVAL_S = 0.5
WINDOW_S = 10.0
TIMEOUT_S = 2.0
FRESHNESS = "lastclick_freshness_seconds"
WANTED = (
    FRESHNESS + "_bucket",
    "lastclick_events_total",
    "lastclick_lag_events",
    "lastclick_model_info",
    "lastclick_lists_written_total",
    "lastclick_catalogue_items",
)


@dataclass(frozen=True)
class Reading:
    """What one worker's endpoint said, or several together."""

    events: Counter[str] = field(default_factory=Counter)
    """Records taken from the user topics, by outcome: applied, duplicate, dead_letter."""
    lists: int = 0
    lag: int = 0
    """Records appended to the input topics and not yet taken."""
    items: int = 0
    freshness: Histogram = field(default_factory=Histogram)
    """Seconds from an event's append until its list was written."""
    models: tuple[tuple[str, str, str], ...] = ()
    """Name, version and provider of each model."""


def parse(text: str) -> Reading:
    """Read a worker's metrics; those the demo does not show are left out before parsing, which is slow."""
    lines = [line for line in text.splitlines() if line.startswith(WANTED)]
    events: Counter[str] = Counter()
    lists = lag = items = 0
    buckets: list[tuple[float, float]] = []
    models: list[tuple[str, str, str]] = []
    for family in text_string_to_metric_families("\n".join(lines) + "\n"):
        for sample in family.samples:
            labels = sample.labels
            if sample.name == FRESHNESS + "_bucket":
                buckets.append((float(labels["le"]), sample.value))
            elif sample.name == "lastclick_events_total" and labels["topic"] in USER_TOPICS:
                events[labels["outcome"]] += int(sample.value)
            elif sample.name == "lastclick_lag_events":
                lag += int(sample.value)
            elif sample.name == "lastclick_model_info":
                models.append((labels["name"], labels["version"], labels["provider"]))
            elif sample.name == "lastclick_lists_written_total":
                lists = int(sample.value)
            elif sample.name == "lastclick_catalogue_items":
                items = int(sample.value)
    buckets.sort()
    freshness = Histogram(tuple(bound for bound, _ in buckets), tuple(count for _, count in buckets))
    return Reading(events, lists, lag, items, freshness, tuple(sorted(models)))


def add(readings: Sequence[Reading]) -> Reading:
    """All workers together: counts add up, the catalogue is the largest, models are those of any."""
    events: Counter[str] = Counter()
    for reading in readings:
        events.update(reading.events)
    return Reading(
        events,
        sum(reading.lists for reading in readings),
        sum(reading.lag for reading in readings),
        max((reading.items for reading in readings), default=0),
        together(reading.freshness for reading in readings),
        tuple(sorted({model for reading in readings for model in reading.models})),
    )


class Meter:
    """A thread that asks the workers twice a second, and remembers the last seconds.

    A worker that ended keeps counting with what it said last, as Prometheus would have it.
    """

    def __init__(self, workers: Callable[[], Sequence[WorkerRun]]) -> None:
        self._workers = workers
        self._last: dict[int, Reading] = {}
        self._alive: set[int] = set()
        self._history: deque[tuple[float, Reading]] = deque()
        self._baseline = Reading()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="read metrics", daemon=True)
        self.now = Reading()
        self.read_once()
        self._thread.start()

    def read_once(self) -> Reading:
        """Ask all workers now."""
        self._alive = set()
        for worker in self._workers():
            reading = _ask(worker.metrics_port)
            if reading is not None:
                self._last[worker.pid] = reading
                self._alive.add(worker.pid)
        total = add(list(self._last.values()))
        alive = add([self._last[pid] for pid in self._alive])
        self.now = Reading(total.events, total.lists, alive.lag, alive.items, total.freshness, alive.models)
        moment = time.monotonic()
        self._history.append((moment, self.now))
        while self._history[0][0] < moment - WINDOW_S:
            self._history.popleft()
        return self.now

    def warmed_up(self) -> None:
        """From now on count `overall`."""
        self._baseline = self.now

    @property
    def overall(self) -> Histogram:
        """Freshness since `warmed_up` was called."""
        return self.now.freshness.minus(self._baseline.freshness)

    @property
    def recent(self) -> Histogram:
        """Freshness of the last ten seconds."""
        return self.now.freshness.minus(self._history[0][1].freshness)

    def rate(self) -> float:
        """Records a second that the workers took over the last ten seconds."""
        (before_s, before), (now_s, now) = self._history[0], self._history[-1]
        return (now.events.total() - before.events.total()) / (now_s - before_s) if now_s > before_s else 0.0

    def close(self) -> None:
        """End the thread."""
        self._stop.set()
        self._thread.join(TIMEOUT_S * 2)

    def _run(self) -> None:
        while not self._stop.wait(INTERVAL_S):
            self.read_once()


def _ask(port: int) -> Reading | None:
    """Read one worker; None when it does not answer, since it may be ending or starting."""
    connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/metrics")
        return parse(connection.getresponse().read().decode())
    except (HTTPException, OSError):
        return None
    finally:
        connection.close()
