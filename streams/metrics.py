"""Prometheus metrics of a worker: what the flow observes in, an HTTP endpoint out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

FRESHNESS_BUCKETS_S = (
    0.002, 0.004, 0.006, 0.008, 0.01, 0.0125, 0.015, 0.0175, 0.02, 0.025, 0.03, 0.035, 0.04, 0.05, 0.06, 0.07, 0.08,
    0.09, 0.1, 0.125, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.75, 1, 2, 5, 10, 30, 60, 300,
)  # fmt: skip


class Served(Protocol):
    """A model in use, as the metrics show it."""

    @property
    def version(self) -> str:
        """Version of its bundle."""

    @property
    def provider(self) -> str:
        """Execution provider in use."""


class Metrics:
    """Everything a worker counts. Names follow Prometheus' conventions: seconds, totals, units in the name."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self.events = Counter(
            "lastclick_events",
            "Events taken from a topic, by what became of them",
            ["topic", "outcome"],
            registry=registry,
        )
        self.dead_letters = Counter(
            "lastclick_dead_letters",
            "Records refused, by topic and field",
            ["topic", "field"],
            registry=registry,
        )
        self.clamped = Counter("lastclick_clamped_times", "Times from the future that were clamped", registry=registry)
        self.lists = Counter("lastclick_lists_written", "Lists written to Cassandra", registry=registry)
        self.item_lists = Counter(
            "lastclick_item_lists_written", "Lists of no user written, by scene", ["scene"], registry=registry
        )
        self.item_lists_waiting = Gauge(
            "lastclick_item_lists_waiting", "Lists of no user that are out of date here", registry=registry
        )
        self.triggers = Counter("lastclick_triggers", "Triggers emitted", ["rule"], registry=registry)
        self.freshness = Histogram(
            "lastclick_freshness_seconds",
            "From an event's append to Kafka until the list that knows it is written",
            buckets=FRESHNESS_BUCKETS_S,
            registry=registry,
        )
        self.stage = Histogram(
            "lastclick_stage_seconds",
            "Time of a micro-batch in each stage",
            ["stage"],
            buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5),
            registry=registry,
        )
        self.batch = Histogram(
            "lastclick_batch_events",
            "Events in a micro-batch",
            buckets=(1, 2, 5, 10, 20, 50, 100, 200, 400, 1000),
            registry=registry,
        )
        self.cached_users = Gauge("lastclick_cached_users", "User states in memory", registry=registry)
        self.lag = Gauge("lastclick_lag_events", "Events appended and not yet taken", ["topic"], registry=registry)
        self.items = Gauge("lastclick_catalogue_items", "Items that can be recommended", registry=registry)
        self.model = Gauge(
            "lastclick_model_info",
            "Models served: always 1",
            ["name", "version", "provider"],
            registry=registry,
        )

        self.releases = Counter(
            "lastclick_releases",
            "Releases by what became of them here: swapped, refused, went_back",
            ["name", "outcome"],
            registry=registry,
        )
        self.swap = Histogram(
            "lastclick_swap_seconds",
            "Time that batches wait for a swap of models",
            buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1),
            registry=registry,
        )

        self._shown: set[tuple[str, str, str]] = set()

    def show_models(self, models: Mapping[str, Served]) -> None:
        """Show what is served under these names now, in place of what was."""
        shown = {(name, model.version, model.provider) for name, model in models.items()}
        for labels in shown:
            self.model.labels(*labels).set(1)
        for labels in {each for each in self._shown - shown if each[0] in models}:
            self.model.remove(*labels)
            self._shown.discard(labels)
        self._shown |= shown

    def serve(self, port: int = 0) -> int:
        """Answer ``GET /metrics`` on loopback; ``port`` 0 takes a free one. Returns the port."""
        server, _thread = start_http_server(port, addr="127.0.0.1", registry=self.registry)
        return int(server.server_port)
