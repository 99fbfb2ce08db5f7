"""Prometheus metrics of the API: what requests did in, an exposition out. Labels are bounded: never an id."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

BUCKETS_S = (0.0005, 0.001, 0.002, 0.003, 0.005, 0.007, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5)


class ApiMetrics:
    """Everything the API counts. A route's label is its template, such as ``/v1/users/{user_id}/lists/{scene}``."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self.requests = Counter(
            "lastclick_api_requests", "Requests by route and status", ["route", "method", "status"], registry=registry
        )
        self.seconds = Histogram(
            "lastclick_api_request_seconds",
            "From a request's arrival until its answer was sent, streams left out",
            ["route"],
            buckets=BUCKETS_S,
            registry=registry,
        )
        self.served = Counter(
            "lastclick_api_lists_served", "Lists by scene and whose they were", ["scene", "source"], registry=registry
        )
        self.events = Counter(
            "lastclick_api_events",
            "Events posted, by topic and what became of them: accepted, invalid, unavailable",
            ["topic", "outcome"],
            registry=registry,
        )
        self.streams = Gauge("lastclick_api_streams", "Clients that listen to changes", registry=registry)
        self.store_failures = Counter(
            "lastclick_api_store_failures", "Reads of Cassandra that had no answer in time", registry=registry
        )
        self._requests: dict[tuple[str, str, int], Counter] = {}
        self._seconds: dict[str, Histogram] = {}
        self._served: dict[tuple[str, str], Counter] = {}
        self.items = Gauge("lastclick_api_catalogue_items", "Items on the shelf", registry=registry)

    def list_served(self, scene: str, source: str) -> None:
        """Count a list."""
        counter = self._served.get((scene, source))
        if counter is None:
            counter = self._served[scene, source] = self.served.labels(scene, source)
        counter.inc()

    def request_answered(self, route: str, method: str, status: int, seconds: float | None) -> None:
        """Count a request and its time; None for a stream, which is not timed."""
        key = route, method, status
        counter = self._requests.get(key)
        if counter is None:
            # Looking a label up costs as much as counting: the few that there are stay at hand.
            counter = self._requests[key] = self.requests.labels(route, method, str(status))
        counter.inc()
        if seconds is not None:
            histogram = self._seconds.get(route)
            if histogram is None:
                histogram = self._seconds[route] = self.seconds.labels(route)
            histogram.observe(seconds)

    def exposition(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self._registry)
