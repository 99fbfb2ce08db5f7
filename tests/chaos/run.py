"""One seed from beginning to end: servers, workers, a replay under faults, and what is checked afterwards."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from kafka import TopicPartition

from feature_repo.state import decode_state
from scorer.bundle import latest_bundle
from scorer.sentiment import Sentiment
from streams.replay import Pace, Replayed, replay
from streams.settings import Settings
from tests.chaos import checks
from tests.chaos.breaking import Scene
from tests.chaos.faults import Fault
from tests.chaos.inside import Clocks
from tests.chaos.schedule import Moment, draw
from tests.chaos.servers import Servers
from tests.chaos.topics import Group, InputLog
from tests.chaos.traffic import Traffic, open_log
from tests.chaos.under_test import Say, under_test
from tests.chaos.verdicts import Remains, Verdict
from tests.integration.clients import Storefront
from tests.integration.recompute import Expected
from tests.waiting import wait_until

LOOKED_AT = 40
"""Users of each partition, the last before the committed offset, whose states are compared with it at a look."""

AHEAD_SHARE = 0.08
"""Part of all events that is sent ahead of the next fault, so that every fault hits work."""

PROGRESS_S = 900.0
"""Seconds within which the next fault's number of events must be reached, on a machine that may be busy."""


@dataclass
class Result:
    """What one seed did and found."""

    seed: int
    events: int
    seconds: float = 0.0
    faults: list[dict[str, Any]] = field(default_factory=list)
    restarts: int = 0
    looks: int = 0
    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def kept(self) -> bool:
        """Whether every promise was kept."""
        return bool(self.verdicts) and all(verdict.kept for verdict in self.verdicts)

    def as_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        return asdict(self) | {"kept": self.kept}


def run_seed(seed: int, events: int, faults: Sequence[Fault], home: Path, models: Path, say: Say) -> Result:
    """Replay ``events`` real events under every fault once, and check what is left.

    Raises
    ------
    AssertionError
        When something that must come did not come in time, such as workers that are ready again.
    """
    began = time.monotonic()
    result = Result(seed, events)
    chance = random.Random(seed)
    traffic = Traffic(open_log(events, say), events, seed)
    clocks = Clocks(home / "clocks")
    with clocks.installed(), under_test(home, models, say) as flow:
        scene = Scene(flow.settings, flow.servers, flow.workers, clocks, chance)
        _replay_under_faults(scene, traffic, faults, result, say)
    result.restarts = flow.workers.restarts
    result.verdicts.append(checks.processes(str(flow.settings.home)))
    for verdict in result.verdicts:
        say(f"{'kept' if verdict.kept else 'BROKEN'}: {verdict.promise}: {verdict.counted}")
    result.seconds = time.monotonic() - began
    return result


def _replay_under_faults(scene: Scene, traffic: Traffic, faults: Sequence[Fault], result: Result, say: Say) -> None:
    settings, servers = scene.settings, scene.servers
    sentiment = Sentiment.load(latest_bundle(settings.models, "sentiment"), "cpu")
    expected = Expected.of(traffic, lambda text: float(sentiment.score([text]).score[0]))
    schedule = draw(scene.chance, faults, expected.events)
    group, log = Group(settings), InputLog(settings.kafka, settings.partitions)
    say(f"{expected.events:,} events of {len(expected.states):,} users, {len(schedule)} faults")
    traffic.open(settings.kafka)
    with ThreadPoolExecutor(1) as sending:
        replayed = sending.submit(replay, traffic, settings, Pace())
        try:
            for moment, following in zip(schedule, [*schedule[1:], None], strict=True):
                _reach(moment, following, expected.events, group, traffic, replayed)
                _break(moment, scene, group, result, say)
                _look(group, log, servers, settings, result, say)
        finally:
            traffic.release(expected.events)
        sent = replayed.result().events
    traffic.close()
    scene.workers.wait_drained(PROGRESS_S)
    say(f"all of {sent:,} events taken in")
    log.read_all()
    storefront = Storefront(servers.cassandra_itself, settings.keyspace)
    try:
        remains = Remains(settings, storefront, log, traffic, expected, sent, traffic.broken)
        result.verdicts.append(_final_commits(group, log, storefront, result))
        result.verdicts.extend(checks.check_all(remains))
    finally:
        storefront.close()
        log.close()
        group.close()


def _reach(
    moment: Moment, following: Moment | None, events: int, group: Group, traffic: Traffic, replayed: Future[Replayed]
) -> None:
    """Let events flow until the moment's number of them is committed, with some more waiting behind."""
    traffic.release(min(events, moment.after_events + int(events * AHEAD_SHARE)))
    if following is None:
        traffic.release(events)

    def reached() -> bool:
        if replayed.done():
            replayed.result()
        return sum(group.committed().values()) >= moment.after_events

    wait_until(reached, PROGRESS_S, f"{moment.after_events} events committed, for the next fault", 0.3)


def _break(moment: Moment, scene: Scene, group: Group, result: Result, say: Say) -> None:
    committed = sum(group.committed().values())
    began = time.monotonic()
    did = moment.fault(scene)
    took_s = time.monotonic() - began
    say(f"{committed:>9,} committed  {did} ({took_s:.1f} s)")
    result.faults.append({"name": moment.name, "after_events": committed, "seconds": round(took_s, 1), "did": did})


def _look(group: Group, log: InputLog, servers: Servers, settings: Settings, result: Result, say: Say) -> None:
    """See that nothing is committed whose effect is not stored: offsets first, states after."""
    committed = group.committed()
    log.read_to(committed)
    users = {user_id for partition, end in committed.items() for user_id in _last_users(log, partition, end)}
    storefront = Storefront(servers.cassandra_itself, settings.keyspace)
    try:
        compared, wrong = checks.commits(log, committed, _offsets(storefront, sorted(users)))
    finally:
        storefront.close()
    result.looks += compared
    if wrong:
        verdict = Verdict("no commit ahead of an effect", False, f"during the run, {len(wrong)} users: {wrong[:5]}")
        result.verdicts.append(verdict)
        say(f"BROKEN: {verdict.promise}: {verdict.counted}")


def _final_commits(group: Group, log: InputLog, storefront: Storefront, result: Result) -> Verdict:
    committed = group.committed()
    compared, wrong = checks.commits(log, committed, _offsets(storefront, None))
    return Verdict(
        "no commit ahead of an effect",
        not wrong,
        f"{result.looks:,} events looked at during the run, {compared:,} at the end; {len(wrong)} users lack some",
    )


def _last_users(log: InputLog, partition: TopicPartition, end: int) -> set[str]:
    users: set[str] = set()
    for sighting in reversed(log.sightings[partition]):
        if sighting.offset < end:
            users.add(sighting.user_id)
        if len(users) == LOOKED_AT:
            break
    return users


def _offsets(storefront: Storefront, users: list[str] | None) -> dict[str, dict[str, int]]:
    """Offsets in the states of some users, empty where there is no state; of all who have one, for None."""
    if users is None:
        rows = storefront.rows("SELECT user_id, state FROM {keyspace}.user_state")
        return {row.user_id: decode_state(row.state).offsets for row in rows}
    found: dict[str, dict[str, int]] = {user_id: {} for user_id in users}
    for first in range(0, len(users), 100):
        some = users[first : first + 100]
        names = ", ".join(["%s"] * len(some))
        statement = f"SELECT user_id, state FROM {{keyspace}}.user_state WHERE user_id IN ({names})"
        found |= {row.user_id: decode_state(row.state).offsets for row in storefront.rows(statement, tuple(some))}
    return found
