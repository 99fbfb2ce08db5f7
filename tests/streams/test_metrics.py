from __future__ import annotations

import urllib.request

from streams.metrics import Metrics


def test_metrics_are_served_on_a_free_port() -> None:
    metrics = Metrics()
    metrics.events.labels("clicks", "applied").inc(3)
    metrics.freshness.observe(0.02)

    port = metrics.serve()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = answer.read().decode()

    assert 'lastclick_events_total{outcome="applied",topic="clicks"} 3.0' in text
    assert 'lastclick_freshness_seconds_bucket{le="0.02"} 1.0' in text
    assert 'lastclick_freshness_seconds_bucket{le="0.0175"} 0.0' in text
    assert "lastclick_catalogue_items 0.0" in text


def test_two_workers_metrics_are_apart() -> None:
    first, second = Metrics(), Metrics()

    first.clamped.inc()

    assert first.registry.get_sample_value("lastclick_clamped_times_total") == 1
    assert second.registry.get_sample_value("lastclick_clamped_times_total") == 0
    assert first.serve() != second.serve()


def test_freshness_is_told_apart_around_its_targets() -> None:
    """p50 of 30 and of 100 ms, p99 of 100 and of 500 ms."""
    bounds = Metrics().freshness._upper_bounds

    assert {0.03, 0.1, 0.5} <= set(bounds)
    assert bounds == sorted(bounds)
