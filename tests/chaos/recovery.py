"""How long lists are stale after `kill -9` of a worker: one that comes back, and one that does not."""

from __future__ import annotations

import statistics
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from streams.replay import Pace, replay
from tests.chaos.breaking import BACK_S, is_ready, kill, one_more
from tests.chaos.inside import Stages
from tests.chaos.probe import Probe
from tests.chaos.traffic import open_log
from tests.chaos.under_test import Say, UnderTest, under_test
from tests.waiting import wait_until

TIMES = 5
CALM_S = 15.0
"""Seconds from a recovery to the next kill: in the wild, a crash finds a supervisor with its spare worker at hand."""
FIRST_BATCH = "write ends"
SHOWN = {
    "interpreter": "its process started (below 0: the spare one, before the kill)",
    "open begins": "modules imported",
    "open ends": "topics and tables there, models loaded",
    "partitions_changed begins": "the group has given it partitions",
    "start begins": "Faust starts what the worker holds",
    "start ends": "catalogue and counts read",
    "ready ends": "no item waits",
    FIRST_BATCH: "first batch written",
    "fresh": "lists fresh in every partition",
}
"""Stages of a start, in words."""


@dataclass
class Recovery:
    """Seconds from the kill to fresh lists in every partition, each time; ``stages`` of those that came back."""

    comes_back: list[float] = field(default_factory=list)
    stays_away: list[float] = field(default_factory=list)
    stages: list[dict[str, float]] = field(default_factory=list)

    @property
    def kept(self) -> bool:
        """Whether lists became fresh each time; how soon is told, not judged."""
        return bool(self.comes_back and self.stays_away)

    def as_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return asdict(self)


def measure_recovery(home: Path, models: Path, say: Say, times: int = TIMES) -> Recovery:
    """Kill a worker that its supervisor starts again, and then one that nobody does, some times each."""
    stages, done = Stages(home / "stages"), Recovery()
    log = open_log(1, say)
    with stages.installed(), under_test(home, models, say) as flow:
        replay(log, flow.settings, Pace(), limit=1000)
        flow.workers.wait_drained(BACK_S)
        probe = Probe(flow.settings, flow.servers.cassandra_itself, [item.item_id for item in log.items()])
        probe.start()
        try:
            for _ in range(times):
                time.sleep(CALM_S)
                _kill_and_come_back(flow, probe, stages, done)
                say(f"killed, back by its supervisor: lists fresh again after {done.comes_back[-1]:.1f} s")
            for _ in range(times):
                _kill_for_good(flow, probe, done)
                say(f"killed, not back: its share served by others after {done.stays_away[-1]:.1f} s")
        finally:
            probe.stop()
    _tell(done, say)
    return done


def _kill_and_come_back(flow: UnderTest, probe: Probe, stages: Stages, done: Recovery) -> None:
    wait_until(flow.workers.all_ready, BACK_S, "workers that are ready")
    workers = flow.workers.ready()
    victim = workers[len(done.comes_back) % len(workers)]
    moment = time.time()
    kill([victim])
    fresh_s = probe.fresh_after(moment, BACK_S)
    done.comes_back.append(fresh_s)
    wait_until(flow.workers.all_ready, BACK_S, "the killed worker again")
    successor = next(each for each in flow.workers.ready() if each.instance == victim.instance)
    seen = {stage: at - moment for stage, at in stages.of(successor.pid).items()}
    done.stages.append(seen | {"fresh": fresh_s})


def _kill_for_good(flow: UnderTest, probe: Probe, done: Recovery) -> None:
    """Let one more worker join, which no supervisor looks after, and kill it when it has its share."""
    process = one_more(flow.settings)
    wait_until(lambda: is_ready(flow.settings, process.pid), BACK_S, "one more worker that is ready")
    probe.fresh_after(time.time(), BACK_S)
    moment = time.time()
    process.kill()
    process.wait(30)
    done.stays_away.append(probe.fresh_after(moment, BACK_S))


def _tell(done: Recovery, say: Say) -> None:
    say("seconds since the kill, median of each stage:")
    for stage, words in SHOWN.items():
        values = [each[stage] for each in done.stages if stage in each]
        if values:
            say(f"  {statistics.median(values):6.2f}  {words}")
    for what, values in (("comes back", done.comes_back), ("stays away", done.stays_away)):
        say(f"a worker that {what}: median {statistics.median(values):.1f} s, longest {max(values):.1f} s")
