"""What a user costs: bytes of state, list and features, and the memory of worker and servers as users come.

First shoppers of the simulated shop, with histories; then users of one click each, up to 1,000,000. The worker keeps a
bounded number of states, so that its memory must not grow with the users beyond that.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import psutil

from feature_repo.events import Click, Event
from feature_repo.sources.shop import START_MS
from streams.settings import Settings
from tests.benchmarks.context import Context
from tests.benchmarks.figures import Figure, Result, Table
from tests.benchmarks.generator import Send, Sent
from tests.benchmarks.plan import Plan, Section
from tests.benchmarks.readings import Progress
from tests.integration.running import Workers
from tests.waiting import wait_until

STEPS, QUICK_STEPS = (1_000, 100_000, 1_000_000), (1_000, 10_000)
SHOP_EVENTS = 5_000
"""Of about 700 shoppers, who are among the first thousand users."""

PIECE = 50_000
BUDGET_S = 900.0
"""Longest that the flow is given for the last step; what it has done by then is reported."""

SAMPLE = 500
TARGET_BYTES = 4_096.0
MEBIBYTE = 1024 * 1024
TABLES = ("user_state", "recommendations", "lastclick_user_features")
FLUSH = 'ALTER TABLE "{keyspace}".{table} WITH memtable_flush_period_in_ms = {period}'
RAW = {
    "state": 'SELECT user_id, state, triggers FROM "{keyspace}".user_state LIMIT {sample}',
    "list": 'SELECT user_id, list_id, items, caused_by, model_version FROM "{keyspace}".recommendations LIMIT {sample}',
    "features": 'SELECT entity_key, features FROM "{keyspace}".lastclick_user_features LIMIT {sample}',
}


@dataclass
class Step:
    """Memory when so many users are known."""

    users: int
    rss: dict[str, float]
    """MiB by process."""
    seconds: float


def run(context: Context) -> Result:
    """Let users come, and look at each step."""
    steps = QUICK_STEPS if context.options.quick else STEPS
    settings = context.settings("memory")
    with context.workers(settings) as workers:
        idle = _rss(context, workers)
        load = Load(context, settings)
        plan = context.plan(settings)
        plan.backlog(SHOP_EVENTS)
        load.send(plan)
        load.wait(BUDGET_S)
        sent_bytes = sum(len(record.value) for record in plan.records)
        users = len({record.key for record in plan.records})
        raw = _raw_bytes(context, settings)
        disk = _disk_bytes(context, settings)
        seen = [Step(0, idle, 0.0), Step(users, _rss(context, workers), 0.0)]
        context.say(f"  {users:,} shoppers: {sum(raw.values()):,.0f} bytes a user raw")
        for wanted in steps:
            started_s = time.monotonic()
            users = load.grow(users, wanted, BUDGET_S)
            seen.append(Step(users, _rss(context, workers), time.monotonic() - started_s))
            context.say(f"  {users:,} users: worker {seen[-1].rss['worker']:,.0f} MiB")
            if users < wanted:
                break
        load.close()
        new_raw, new_disk = _raw_bytes(context, settings), _disk_bytes(context, settings)
    bare = None
    if context.options.floors:
        with context.floor(context.settings("bare"), "row") as floor:
            bare = psutil.Process(floor.pid).memory_info().rss / MEBIBYTE
    shoppers = seen[1].users
    result = Result(
        "memory",
        f"{shoppers:,} shoppers of the simulated shop with {len(plan.records) / shoppers:.1f} events each, then users "
        f"of one click, 1 worker that keeps {settings.cached_users:,} states; models {context.models_are}",
    )
    result.figures.append(
        Figure(
            "bytes a shopper, raw", sum(raw.values()), "B", sent_bytes / shoppers, "their events as sent",
            target=TARGET_BYTES,
        )
    )  # fmt: skip
    if disk is not None:
        result.figures.append(
            Figure(
                "bytes a shopper, on disk", disk / shoppers, "B", sent_bytes / shoppers, "their events as sent",
                target=TARGET_BYTES,
            )
        )  # fmt: skip
    result.figures += [
        Figure(f"worker memory at {step.users:,} users", step.rss["worker"], "MiB", bare, "bare flow")
        for step in seen[2:]
    ]
    names = list(idle)
    result.tables = [
        Table(
            "Bytes a user, raw",
            ("users", *RAW, "all", "on disk, compressed, all"),
            [
                ("shoppers", *raw.values(), sum(raw.values()), disk / shoppers if disk else None),
                ("the last step's", *new_raw.values(), sum(new_raw.values()), new_disk / users if new_disk else None),
            ],
        ),
        Table(
            "Memory, MiB resident",
            ("users", *names, "seconds it took"),
            [(step.users, *(step.rss[name] for name in names), step.seconds) for step in seen],
        ),
    ]
    if users < steps[-1]:
        result.notes.append(
            f"Scaled: the flow had taken {users:,} of {steps[-1]:,} users when its {BUDGET_S:.0f} s were over."
        )
    return result


class Load:
    """Sends plans through the flow as fast as it takes them, a bounded stretch ahead."""

    def __init__(self, context: Context, settings: Settings) -> None:
        self._context, self._settings = context, settings
        self._progress = Progress(settings)
        self._items = [item.item_id for item in context.shop().items() if item.published_at_ms <= START_MS]

    def send(self, plan: Plan) -> None:
        """Send all of a plan."""
        path = plan.write(self._context.work / "memory.plan")
        with self._context.child("generator", self._context.kafka, str(path)) as generator:
            generator.say(Send(Section(0, len(plan.records), 0.0), 0.0))
            generator.hear(Sent, 300)

    def wait(self, seconds: float) -> bool:
        """Wait until all is committed; says whether it was in time."""
        return self._progress.wait_drained(seconds) is not None

    def grow(self, users: int, wanted: int, budget_s: float) -> int:
        """Let new users come, one click each; returns how many are known when time is up or all have come."""
        deadline_s = time.monotonic() + budget_s
        while users < wanted and time.monotonic() < deadline_s:
            count = min(PIECE, wanted - users)
            plan = Plan(self._clicks(users), self._settings.partitions)
            plan.backlog(count)
            self.send(plan)
            if not self.wait(max(1.0, deadline_s - time.monotonic())):
                return users + count - max(0, self._progress.lag())
            users += count
        return users

    def close(self) -> None:
        """Close the connection."""
        self._progress.close()

    def _clicks(self, first: int) -> Iterator[tuple[str, Event]]:
        random = np.random.default_rng(first)
        for number in range(first, first + PIECE):
            item_id = self._items[random.integers(len(self._items))]
            yield "clicks", Click(f"new-{number}", f"new-{number}", item_id, START_MS + number)


def _rss(context: Context, workers: Workers) -> dict[str, float]:
    pids = {"worker": [worker.pid for worker in workers.ready()], **context.servers()}
    return {name: sum(psutil.Process(pid).memory_info().rss for pid in each) / MEBIBYTE for name, each in pids.items()}


def _raw_bytes(context: Context, settings: Settings) -> dict[str, float]:
    """Mean bytes a user of what is in the columns, over a sample of users."""
    found = {}
    for name, statement in RAW.items():
        rows = list(context.session.execute(statement.format(keyspace=settings.keyspace, sample=SAMPLE)))
        found[name] = float(np.mean([_size(tuple(row)) for row in rows]))
    return found


def _size(value: object) -> int:
    if isinstance(value, str):
        return len(value.encode())
    if isinstance(value, bytes):
        return len(value)
    if isinstance(value, tuple | list):
        return sum(map(_size, value))
    return 4 if isinstance(value, float) else 0


def _disk_bytes(context: Context, settings: Settings) -> float | None:
    """Bytes of the tables' files after a flush; None when the server's files are not on this machine."""
    folders = [
        folder
        for table in TABLES
        for folder in context.data_folder("cassandra").glob(f"**/{settings.keyspace}/{table}-*")
    ]
    if not folders:
        return None
    for table in TABLES:
        # The launcher has no nodetool: a short period makes the table flush by itself.
        context.session.execute(FLUSH.format(keyspace=settings.keyspace, table=table, period=500), timeout=60)
    sizes = [-1, -1]

    def settled() -> bool:
        sizes.append(sum(_folder_size(folder) for folder in folders))
        return sizes[-1] > 0 and sizes[-1] == sizes[-2] == sizes[-3]

    wait_until(settled, 120, "files that grow no more", 1.5)
    for table in TABLES:
        context.session.execute(FLUSH.format(keyspace=settings.keyspace, table=table, period=0), timeout=60)
    return float(sizes[-1])


def _folder_size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue  # compacted away meanwhile
    return total
