"""Readings of metrics: differences over a window, means and quantiles of histograms."""

from __future__ import annotations

from streams.metrics import Metrics as WorkerMetrics
from streams.run_files import WorkerRun
from tests.benchmarks.readings import Metrics


class OneWorker:
    """As much of running workers as is asked for its metrics."""

    def __init__(self) -> None:
        self.metrics = WorkerMetrics()
        self._port = self.metrics.serve()

    def ready(self) -> list[WorkerRun]:
        return [WorkerRun(0, 1, self._port, 0, {})]


def test_a_window_holds_only_what_came_within_it() -> None:
    worker = OneWorker()
    worker.metrics.stage.labels("decode").observe(5.0)
    before = Metrics(worker)
    worker.metrics.stage.labels("decode").observe(0.25)
    worker.metrics.stage.labels("decode").observe(0.75)
    worker.metrics.events.labels("clicks", "applied").inc(3)
    worker.metrics.events.labels("carts", "applied").inc(2)

    window = Metrics(worker).since(before)

    assert window.sum_and_count("lastclick_stage_seconds", "decode") == (1.0, 2.0)
    assert ("decode",) in window.labels("lastclick_stage_seconds_count")
    assert window.total("lastclick_events_total") == 5


def test_a_quantile_is_the_bound_of_the_bucket_that_holds_it() -> None:
    worker = OneWorker()
    before = Metrics(worker)
    for ms in [1.0] * 90 + [55.0] * 10:
        worker.metrics.freshness.observe(ms / 1000)

    window = Metrics(worker).since(before)

    assert window.bucket_quantile("lastclick_freshness_seconds", 0.9) == 0.002
    assert window.bucket_quantile("lastclick_freshness_seconds", 0.99) == 0.06
