"""One moment of the demo, as the live view and the plain lines show it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from streams.demo.histogram import Histogram
from streams.demo.readings import Reading
from streams.demo.story import Step

TARGET_P50_MS = 100.0
TARGET_P99_MS = 500.0
BARS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True)
class WorkerLine:
    """A worker process, and whether it processes events."""

    pid: int
    ready: bool


@dataclass(frozen=True)
class Followed:
    """The shopper who is followed: steps with the newest last, and propensities with the newest last."""

    user_id: str
    steps: tuple[Step, ...]
    propensities: tuple[float, ...]


@dataclass(frozen=True)
class Frame:
    """Everything that is on screen."""

    seed: int
    elapsed_s: float
    """Since the first event was sent."""
    seconds: float | None
    """Length of the live part; None until Ctrl-C."""
    doing: str
    shop_ms: int
    sent: int
    sent_rates: tuple[float, ...]
    """Events sent a second, over the last seconds, the newest last."""
    reading: Reading
    recent: Histogram
    overall: Histogram
    dead_letters: int
    last_dead_letter: str
    triggers: int
    last_trigger: str
    workers: tuple[WorkerLine, ...]
    restarts: int
    kafka: str
    cassandra: str
    page: str
    """Address of the shop's page."""
    followed: Followed
    title: Callable[[str], str]
    """Title of an item_id."""
    notes: tuple[str, ...]


def milliseconds(histogram: Histogram, percent: float) -> str:
    """A percentile for people."""
    seconds = histogram.percentile(percent)
    return "-" if seconds is None else f"{seconds * 1000:,.0f} ms"


def within_target(histogram: Histogram) -> bool | None:
    """Whether both percentiles are within their targets; None without observations."""
    p50, p99 = histogram.percentile(50), histogram.percentile(99)
    if p50 is None or p99 is None:
        return None
    return p50 * 1000 <= TARGET_P50_MS and p99 * 1000 <= TARGET_P99_MS


def sparkline(values: tuple[float, ...], top: float) -> str:
    """Bars of the values, between 0 and ``top``."""
    steps = len(BARS) - 1
    return "".join(BARS[round(max(0.0, min(1.0, value / top if top > 0 else 0.0)) * steps)] for value in values)
