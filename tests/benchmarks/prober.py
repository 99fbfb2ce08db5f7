"""An independent client that waits for lists: sections of a plan in, when each probe's list could be read out.

``python -m tests.benchmarks.prober CASSANDRA PLAN``, one `Watch` a line on stdin. It knows the plan and shares nothing
with the flow: it reads the probe user's row again and again from the time the event is due.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
from cassandra.cluster import Session
from cassandra.query import PreparedStatement

from feature_repo.cassandra_cluster import connect, split_addresses
from tests.benchmarks.child import answer, commands
from tests.benchmarks.plan import Planned, Section, probe_number, probes_of, read_plan

FIRST_S = 0.005
"""No list is written sooner after its event is due."""

EVERY_S = 0.005
SHARE = 1 / 10
"""An old probe is looked at less often: at intervals of this share of its age."""


class Watch(msgspec.Struct, frozen=True):
    """Watch the probes of a section that starts at ``start_s``, and give up those unseen ``patience_s`` after it."""

    section: Section
    start_s: float
    statement: str
    """SELECT of ``caused_by`` by user_id."""
    patience_s: float


class Seen(msgspec.Struct, frozen=True):
    """When each probe was seen, by its number: seconds after it was due, and milliseconds since the epoch."""

    after_s: dict[int, float]
    at_ms: dict[int, float]
    unseen: int
    reads: int


@dataclass
class _Probe:
    number: int
    user_id: str
    due_s: float
    next_s: float


def watch(session: Session, select: PreparedStatement, records: list[Planned], command: Watch) -> Seen:
    """Poll until every probe of the section was seen or time is up."""
    section = command.section
    waiting = [
        _Probe(record.probe, record.user_id, due_s := command.start_s + section.due_s(place), due_s + FIRST_S)
        for place, record in probes_of(records, section)
    ]
    end_s = command.start_s + section.due_s(section.count) + command.patience_s
    to_wall = time.time() - time.monotonic()
    seen = Seen({}, {}, 0, 0)
    after_s, at_ms, reads = seen.after_s, seen.at_ms, 0
    while waiting and (now_s := time.monotonic()) < end_s:
        due = [probe for probe in waiting if probe.next_s <= now_s]
        if not due:
            time.sleep(min(probe.next_s for probe in waiting) - now_s)
            continue
        asked = [(probe, session.execute_async(select, (probe.user_id,))) for probe in due]
        reads += len(asked)
        for probe, answered in asked:
            row = answered.result().one()
            now_s = time.monotonic()
            if row is not None and probe_number(row.caused_by) >= probe.number:
                after_s[probe.number] = now_s - probe.due_s
                at_ms[probe.number] = (now_s + to_wall) * 1000
            probe.next_s = now_s + max(EVERY_S, (now_s - probe.due_s) * SHARE)
        waiting = [probe for probe in waiting if probe.number not in after_s]
    return Seen(after_s, at_ms, len(waiting), reads)


def main(cassandra: str, plan: Path) -> None:
    """Watch sections as they are asked for, until stdin ends."""
    records = read_plan(plan)
    hosts, port = split_addresses([cassandra])
    session = connect(hosts, port or 9042, None, 30.0, 4)
    prepared: dict[str, PreparedStatement] = {}
    try:
        for command in commands(Watch):
            statement = command.statement
            if statement not in prepared:
                prepared[statement] = session.prepare(statement)
            answer(watch(session, prepared[statement], records, command))
    finally:
        session.cluster.shutdown()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
