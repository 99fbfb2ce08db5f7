"""A thousand lists read a second through the API, of 100,000 users, while the stream runs beside it.

The floor is an endpoint of the same server that answers with a constant, under the same load, beside the same stream.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from cassandra.concurrent import execute_concurrent_with_args

from streams.run_files import ApiRun, running_api
from streams.settings import Settings
from streams.store import WRITE_LIST, RecommendedItem
from streams.supervisor import worker_environment
from tests.benchmarks.child import REPOSITORY
from tests.benchmarks.context import Context, Processor
from tests.benchmarks.figures import Figure, Result, Samples, Table, spread
from tests.benchmarks.generator import Send, Sent
from tests.benchmarks.plan import Plan, Section
from tests.benchmarks.reader import Answered, Read
from tests.waiting import wait_until

USERS, QUICK_USERS = 100_000, 5_000
RATE = 1_000.0
STREAM_RATE = 200.0
SECONDS, QUICK_SECONDS = 60.0, 15.0
WARM_UP_S = 10.0
CONNECTIONS = 64
LEAD_S = 0.5
LIST = "/v1/users/reader-{user}/lists/home"
HYDRATED = f"{LIST}?hydrate=true"
CONSTANT = "/health"
TARGETS_MS = {"p90": 7.0, "p99": 25.0}


@dataclass
class Reading:
    """One kind of request, measured once, and the processor time of everything meanwhile."""

    path: str
    answered: Answered
    cpu_s: dict[str, float]


def run(context: Context) -> Result:
    """Read lists, lists with items, and the constant, one after another, the stream beside each."""
    users = QUICK_USERS if context.options.quick else USERS
    rate = (context.options.rates or (RATE,))[0]
    seconds = context.options.seconds or (QUICK_SECONDS if context.options.quick else SECONDS)
    settings = context.settings("reads")
    plan = context.plan(settings)
    warm = plan.section(STREAM_RATE, max(WARM_UP_S, context.warm_up_s()), probed=False)
    sections = {path: plan.section(STREAM_RATE, seconds, probed=False) for path in (LIST, HYDRATED, CONSTANT)}
    path = str(plan.write(context.work / "reads.plan"))
    with context.workers(settings) as workers, serving(context, settings) as api:
        context.say(f"writing the lists of {users:,} users")
        write_lists(context, settings, users)
        pids = {"worker": [worker.pid for worker in workers.ready()], "api": [api.pid], **context.servers()}
        with (
            context.child("generator", context.kafka, path) as generator,
            context.child("reader", api.address) as reader,
        ):
            pids |= {"generator": [generator.pid], "reader": [reader.pid]}

            def read(what: str, section: Section, seconds: float) -> Reading:
                start_s = time.monotonic() + LEAD_S
                processor = Processor(pids)
                generator.say(Send(section, start_s))
                reader.say(Read(what, rate, seconds, start_s, users, CONNECTIONS, context.options.seed))
                answered = reader.hear(Answered, seconds + 120)
                cpu_s = processor.read()
                generator.hear(Sent, 120)
                p50, p90, p99, _ = spread(answered.latencies_ms)
                context.say(f"  {what}: p50 {p50:.1f}, p90 {p90:.1f}, p99 {p99:.1f} ms, {answered.statuses}")
                return Reading(what, answered, cpu_s)

            read(LIST, warm, warm.count / STREAM_RATE)
            readings = [read(what, section, seconds) for what, section in sections.items()]
    return report(context, users, rate, seconds, readings, plan)


@contextmanager
def serving(context: Context, settings: Settings) -> Iterator[ApiRun]:
    """`lastclick serve` on a free port, until the body has ended."""
    command = [sys.executable, "-m", "streams.cli", "serve", "--port", "0"]
    with (context.work / "api.log").open("wb") as output:
        process = subprocess.Popen(
            command, cwd=REPOSITORY, env=worker_environment(settings), stdout=output, stderr=output
        )
    try:
        yield wait_until(lambda: running_api(settings.run), 120, "an API that answers")
    finally:
        process.terminate()
        process.wait(30)


def write_lists(context: Context, settings: Settings, users: int) -> None:
    """Give every reader a list of the shop's items, as a worker would have written it."""
    item_ids = [item.item_id for item in context.shop().items()]
    size, reason = settings.list_size, "because you looked at something like it"
    now_ms = time.time_ns() // 1_000_000
    statement = context.session.prepare(WRITE_LIST.format(keyspace=settings.keyspace))
    values = (
        (
            f"reader-{number}",
            "home",
            f"list-{number}",
            [
                RecommendedItem(item_ids[(number * 7 + place * 13) % len(item_ids)], 1.0 - place / size, reason)
                for place in range(size)
            ],
            f"event-{number}",
            now_ms,
            now_ms,
            "bench",
            "default",
            now_ms * 1000,
        )
        for number in range(users)
    )
    execute_concurrent_with_args(context.session, statement, values, concurrency=64)


def report(context: Context, users: int, rate: float, seconds: float, readings: list[Reading], plan: Plan) -> Result:
    """Latencies beside the constant's, errors, and where the processor's time went."""
    result = Result(
        "reads",
        f"{rate:,.0f} reads/s of {users:,} users' lists, drawn at random, open loop, {CONNECTIONS} connections, "
        f"{seconds:.0f} s each; beside it the simulated shop at {STREAM_RATE:,.0f} events/s, 1 worker; "
        f"models {context.models_are}",
    )
    lists, hydrated, constant = readings
    for name, index in (("p50", 0), ("p90", 1), ("p99", 2)):
        floor = spread(constant.answered.latencies_ms)[index]
        result.figures += [
            Figure(
                f"list {name} at {rate:,.0f}/s", spread(lists.answered.latencies_ms)[index], "ms", floor, "a constant",
                target=TARGETS_MS.get(name) if rate == RATE else None, checked=name != "p99",
            ),
            Figure(
                f"list with items {name} at {rate:,.0f}/s", spread(hydrated.answered.latencies_ms)[index], "ms", floor,
                "a constant", checked=False,
            ),
        ]  # fmt: skip
    api_s, floor_s = lists.cpu_s["api"], constant.cpu_s["api"]
    result.figures += [
        Figure(
            "processor time of the API a list", 1e6 * api_s / len(lists.answered.latencies_ms), "us",
            1e6 * floor_s / len(constant.answered.latencies_ms), "a constant",
        ),
        Figure("answers that are no 200", sum(map(failures, readings)), "", target=0.0),
        Figure("lists that are not the user's own", sum(map(strangers, readings)), "", target=0.0),
    ]  # fmt: skip
    rows: list[tuple[str | float | int | None, ...]] = [
        (each.path, len(each.answered.latencies_ms), *spread(each.answered.latencies_ms), each.answered.late_p50_ms,
         each.answered.late_p99_ms, each.answered.bytes_received / len(each.answered.latencies_ms))
        for each in readings
    ]  # fmt: skip
    columns = ("request", "answers", "p50", "p90", "p99", "max", "sent late p50", "sent late p99", "bytes an answer")
    result.tables.append(Table("From due to the last byte, ms", columns, rows))
    names = [name for name in lists.cpu_s if name != "elapsed"]
    result.tables.append(
        Table(
            "Processor, % of a core",
            ("request", *names),
            [(each.path, *(100 * each.cpu_s[name] / each.cpu_s["elapsed"] for name in names)) for each in readings],
        )
    )
    plot = f"reads at {rate:,.0f} a second"
    for label, each in (("a user's list", lists), ("a constant", constant)):
        result.samples.append(Samples(plot, label, "ms", each.answered.latencies_ms))
    return result


def failures(reading: Reading) -> int:
    """Answers other than 200, and connections that were closed."""
    statuses = reading.answered.statuses
    return sum(count for status, count in statuses.items() if status != 200) + reading.answered.broken


def strangers(reading: Reading) -> int:
    """Lists that were answered with what stands in for the user's own."""
    return sum(count for source, count in reading.answered.sources.items() if source != "user")
