"""Cassandra away for a minute while events come at a rate: what is lost, memory, and the time to catch up."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP
from typing import Any

import psutil

from streams.lag import GroupLag
from streams.replay import Pace, replay
from streams.settings import Settings
from streams.topics import USER_TOPICS
from tests.chaos.traffic import open_log
from tests.chaos.under_test import Say, under_test
from tests.integration.clients import Storefront
from tests.integration.recompute import Expected, Sent, differing, stored_causes, stored_states
from tests.integration.running import Workers
from tests.waiting import wait_until

RATE = 1_000.0
AWAY_S = 60.0
BEFORE_S = 30.0
"""Seconds at the rate before Cassandra goes: memory is measured when the first users are known."""

AFTER_S = 15.0
CAUGHT_UP_S = 600.0
"""The longest to wait until the workers are less than a second of traffic behind."""

MEMORY_EVERY_S = 0.5
MEGABYTE = 1_000_000


@dataclass
class Outage:
    """What an outage did: events, seconds, and resident memory of all workers together in MB."""

    killed: bool
    events: int = 0
    rate: float = 0.0
    caught_up_s: float = 0.0
    behind_events: int = 0
    restarts: int = 0
    memory_mb: dict[str, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    @property
    def kept(self) -> bool:
        """Whether nothing was lost."""
        return not self.wrong and self.events > 0

    def as_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return asdict(self) | {"kept": self.kept}


class Memory:
    """Samples the workers' resident memory in a thread: the largest sum since `mark`."""

    def __init__(self, workers: Workers) -> None:
        self._workers = workers
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self.peak_mb = 0.0
        self._thread.start()

    def now_mb(self) -> float:
        """Resident memory of all workers now."""
        total = 0
        for worker in self._workers.ready():
            with suppress(psutil.NoSuchProcess):
                total += psutil.Process(worker.pid).memory_info().rss
        return total / MEGABYTE

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stopping.wait(MEMORY_EVERY_S):
            self.peak_mb = max(self.peak_mb, self.now_mb())


def measure_outage(home: Path, models: Path, say: Say, *, kill: bool = False, rate: float = RATE) -> Outage:
    """Take Cassandra away for a minute, by SIGSTOP or by ``kill -9``, and compare what is left with a recompute."""
    done = Outage(kill)
    log = open_log(int(rate * (BEFORE_S + AWAY_S + CAUGHT_UP_S)), say)
    with under_test(home, models, say) as flow, ThreadPoolExecutor(1) as sending, GroupLag(flow.settings) as group:
        stopping = threading.Event()
        replayed = sending.submit(replay, log, flow.settings, Pace(rate=rate), stop=stopping.is_set)
        memory = Memory(flow.workers)
        try:
            wait_until(lambda: flow.workers.committed() > rate, 300, "the first events", 0.5)
            threading.Event().wait(BEFORE_S)
            done.memory_mb["before"] = memory.now_mb()
            say(
                f"Cassandra goes, by {'kill -9' if kill else 'SIGSTOP'}; workers hold {done.memory_mb['before']:.0f} MB"
            )
            flow.servers.end("cassandra", SIGKILL) if kill else flow.servers.signal("cassandra", SIGSTOP)
            threading.Event().wait(AWAY_S)
            flow.servers.start_again() if kill else flow.servers.signal("cassandra", SIGCONT)
            back = time.monotonic()
            done.behind_events = _lag(group)
            say(f"Cassandra is back; the workers are {done.behind_events:,} events behind")
            wait_until(lambda: _lag(group) < rate, CAUGHT_UP_S, "workers that have caught up", 0.2)
            done.caught_up_s = time.monotonic() - back
            say(f"caught up after {done.caught_up_s:.1f} s")
            threading.Event().wait(AFTER_S)
        finally:
            stopping.set()
            memory.stop()
        done.memory_mb |= {"peak": memory.peak_mb, "after": memory.now_mb()}
        sent = replayed.result()
        done.events, done.rate = sent.events, sent.events / sent.seconds
        flow.workers.wait_drained(CAUGHT_UP_S)
        done.restarts = flow.workers.restarts
        done.wrong = _wrong(Sent(log, "", sent.events), flow.settings, flow.servers.cassandra_itself)
    _tell(done, say)
    return done


def _lag(group: GroupLag) -> int:
    return sum(group.by_topic(USER_TOPICS).values())


def _wrong(sent: Sent, settings: Settings, cassandra: str) -> list[str]:
    """Users whose state is not that of a recompute, or whose list is not caused by their last event."""
    expected = Expected.of(sent)
    storefront = Storefront(cassandra, settings.keyspace)
    try:
        causes = {user_id: cause for user_id, (cause, _) in stored_causes(storefront, "").items()}
        others = sorted(user_id for user_id, event_id in expected.last.items() if causes.get(user_id) != event_id)
        return differing(stored_states(storefront, ""), expected.encoded()) + others
    finally:
        storefront.close()


def _tell(done: Outage, say: Say) -> None:
    memory = ", ".join(f"{when} {mb:.0f}" for when, mb in done.memory_mb.items())
    say(f"{done.events:,} events at {done.rate:.0f} a second; resident memory of the workers in MB: {memory}")
    say(f"restarts: {done.restarts}; {len(done.wrong)} users with a state or list that is not as it must be")
    say("nothing was lost" if done.kept else f"LOST: {done.wrong[:5]}")
