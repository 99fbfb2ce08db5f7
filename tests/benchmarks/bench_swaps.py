"""Ten recommenders swapped in under 500 events/s: what a swap costs those who wait for a list.

A window without swaps is the floor of one with them. Each swap is a release of another bundle that answers alike, as
`lastclick release` makes it; the next one comes when the worker serves the last one.
"""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

from kafka import KafkaProducer

from scorer.bundle import latest_bundle
from streams.release_topic import append_release
from streams.releases import Release, next_release, point_to
from streams.settings import Settings
from streams.topics import RELEASES
from tests.benchmarks.bench_freshness import LIST, Window, latencies, measure
from tests.benchmarks.context import Context
from tests.benchmarks.figures import Figure, Result, Table, quantile, spread
from tests.bundle_variants import publish_variant
from tests.integration.running import Workers
from tests.waiting import wait_until

RATE = 500.0
SWAPS, QUICK_SWAPS = 10, 3
BETWEEN_S = 5.0
PAUSE_TARGET_MS = 100.0
SERVED_TIMEOUT_S = 60.0
NAME = "recommender"


def run(context: Context) -> Result:
    """Send twice as long as the swaps take: first without them, then with them."""
    count = QUICK_SWAPS if context.options.quick else SWAPS
    rate = (context.options.rates or (RATE,))[0]
    seconds = context.options.seconds or (count + 1) * BETWEEN_S
    settings = context.settings("swaps")
    bundles = _publish(settings, count)
    plan = context.plan(settings)
    sections = [plan.section(rate, context.warm_up_s()), plan.section(rate, seconds), plan.section(rate, seconds)]
    path = plan.write(context.work / "swaps.plan")
    try:
        with context.workers(settings) as workers:
            pids = [worker.pid for worker in workers.ready()]
            releases = Releases(settings, workers, bundles)
            quiet, swapped = measure(context, settings, path, sections, LIST, pids, workers, releases.after_window)
    finally:
        _forget_release(context.kafka)
    workload = (
        f"simulated shop, {rate:,.0f} events/s, open loop, {seconds:.0f} s without and {seconds:.0f} s with "
        f"{releases.served} swaps, 1 worker, 8 partitions; models {context.models_are}"
    )
    return report(workload, quiet, swapped, releases.served)


class Releases:
    """Releases bundle after bundle in a thread, each when the one before is served, during the second window."""

    def __init__(self, settings: Settings, workers: Workers, bundles: list[Path]) -> None:
        self._settings, self._workers, self._bundles = settings, workers, bundles
        self._thread = threading.Thread(target=self._run, name="releases", daemon=True)
        self._ended = threading.Event()
        self._failure: BaseException | None = None
        self.served = 0

    def after_window(self, _: Window) -> None:
        """Begin when the first window has ended; end after the second, and raise what went wrong."""
        if not self._thread.ident:
            self._thread.start()
            return
        self._ended.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        current: Release | None = None
        try:
            for bundle in self._bundles:
                if self._ended.wait(BETWEEN_S):
                    return
                current = next_release(point_to(bundle), current, {}, "bench swaps")
                append_release(self._settings, NAME, current)
                wait_until(lambda b=bundle: self._serves(b), SERVED_TIMEOUT_S, f"a worker that serves {bundle.name}")
                self.served += 1
        except Exception as error:  # noqa: BLE001  # raised again where the benchmark waits
            self._failure = error

    def _serves(self, bundle: Path) -> bool:
        return all(worker.models[NAME] == bundle.name for worker in self._workers.ready())


def report(workload: str, quiet: Window, swapped: Window, served: int) -> Result:
    """Latencies beside those without swaps, and how long batches waited for a swap."""
    assert swapped.metrics is not None
    result = Result("swaps", workload)
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        with_swaps, without = (quantile(window.latencies_ms, share) for window in (swapped, quiet))
        result.figures.append(
            Figure(f"freshness {name} while models are swapped", with_swaps, "ms", without, "no swaps", checked=False)
        )
    longest = spread(swapped.latencies_ms)[3] - spread(quiet.latencies_ms)[3]
    waited_s, swaps = swapped.metrics.sum_and_count("lastclick_swap_seconds")
    bound_ms = 1000 * swapped.metrics.bucket_quantile("lastclick_swap_seconds", 1.0)
    result.figures += [
        Figure("swaps", served, "", lower_is_better=False),
        Figure("batches wait for a swap, mean", 1000 * waited_s / swaps, "ms"),
        Figure("batches wait for a swap, at most", bound_ms, "ms", target=PAUSE_TARGET_MS),
        Figure("slowest list with swaps over the slowest without", longest, "ms", target=PAUSE_TARGET_MS),
        Figure("lists never seen", swapped.seen.unseen, "", target=0.0),
    ]
    for label, window in (("without", quiet), ("with", swapped)):
        table = latencies([window], [])
        result.tables.append(Table(f"Latency {label} swaps, ms", table.columns, table.rows))
    return result


def _publish(settings: Settings, count: int) -> list[Path]:
    """Copy the models, which are another home's, and publish ``count`` recommenders that differ in nothing served."""
    shared = settings.models.resolve()
    settings.models.unlink()
    shutil.copytree(shared, settings.models)
    first = latest_bundle(settings.models, NAME)
    return [publish_variant(first, settings.models, lambda _: None) for _ in range(count)]


def _forget_release(kafka: str) -> None:
    """Leave nothing on the topic that the next worker would look for in vain."""
    producer = KafkaProducer(bootstrap_servers=kafka)
    producer.send(RELEASES, key=NAME.encode(), value=None)
    producer.close()
