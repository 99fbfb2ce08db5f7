"""What benchmarks share: a home and options in; servers, models, settings, running processes and readings out."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import psutil
from cassandra.cluster import Session
from kafka import KafkaConsumer, KafkaProducer, OffsetAndMetadata, TopicPartition

from deploy.local import Launcher
from feature_repo.cassandra_cluster import connect, split_addresses
from feature_repo.events import encode
from feature_repo.sources import Source
from feature_repo.sources.shop import Shop
from scorer.bundle import BundleError, latest_bundle
from streams.lag import GroupLag
from streams.settings import Settings
from streams.supervisor import worker_environment
from streams.topics import ITEMS, USER_TOPICS, create_topics
from tests.benchmarks.child import Child
from tests.benchmarks.floors import Running
from tests.benchmarks.plan import Plan
from tests.integration.running import Workers
from tests.waiting import wait_until

PRODUCTS = 600
SHOPPERS = 4_000
FIRST_DAY = 30
"""Carts, purchases and reviews are under way by then, and returning shoppers have a history."""

COLD_WARM_UP_S = 40.0
WARM_UP_S = 10.0
"""The first half minute after a cold start is far slower: the JVMs compile what they run."""


class WorkersCrashed(RuntimeError):
    """A worker ended by itself during a benchmark."""


@dataclass(frozen=True)
class Options:
    """What the command line asked for."""

    home: Path
    out: Path
    quick: bool = False
    seed: int = 7
    keep: bool = False
    floors: bool = True
    rates: tuple[float, ...] | None = None
    seconds: float | None = None
    workers: int | None = None
    data: Path | None = None


@dataclass
class Context:
    """Servers that run, and what is started on them; a context manager that ends it all."""

    options: Options
    say: Callable[[str], None]
    kafka: str = ""
    cassandra: str = ""
    server_pids: dict[str, int] = field(default_factory=dict)
    models_are: str = ""
    _warm: bool = False
    _ends: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        home = (self.options.home / "bench").resolve()
        launcher = Launcher(home, self.say)
        kept = any(server.local and server.state == "answering" for server in launcher.status().servers)
        if not kept:
            shutil.rmtree(home / "servers", ignore_errors=True)
        self.work = Path(self._ends.enter_context(tempfile.TemporaryDirectory(prefix="lastclick-bench-")))
        if not self.options.keep:
            self._ends.callback(launcher.down)
        with self._undone_on_error():
            addresses = launcher.up()
            self.kafka, self.cassandra = addresses.kafka, addresses.cassandra
            self.server_pids = {s.name: s.pid for s in launcher.status().servers if s.pid is not None}
            self.models = self._find_models()
            hosts, port = split_addresses([self.cassandra])
            self.session: Session = connect(hosts, port or 9042, None, 60.0, 4)
            self._ends.callback(self.session.cluster.shutdown)
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    def settings(self, name: str, **overrides: Any) -> Settings:
        """Settings of a group and keyspace of their own, which take records from now on; dropped at the end."""
        unique = f"bench_{name}_{uuid.uuid4().hex[:8]}"
        home = self.work / unique
        home.mkdir()
        (home / "models").symlink_to(self.models)
        values: dict[str, Any] = {
            "kafka": self.kafka, "cassandra": self.cassandra, "home": home, "keyspace": unique, "group": unique,
        }  # fmt: skip
        settings = Settings.from_environment(**{**values, **overrides})
        create_topics(settings)
        begin_at_the_end(settings)
        self._ends.callback(self.drop, settings)
        return settings

    def servers(self) -> dict[str, list[int]]:
        """Process ids of the local servers, by name."""
        return {name: [pid] for name, pid in self.server_pids.items()}

    def data_folder(self, server: str) -> Path:
        """Folder of a local server's files."""
        return (self.options.home / "bench" / "servers" / server).resolve()

    def drop(self, settings: Settings) -> None:
        """Forget what was stored under these settings."""
        self.session.execute(f'DROP KEYSPACE IF EXISTS "{settings.keyspace}"', timeout=120)

    def shop(self) -> Shop:
        """The simulated shop whose events are the load."""
        return Shop(self.options.seed, SHOPPERS, PRODUCTS, None, first_day=FIRST_DAY)

    def plan(self, settings: Settings) -> Plan:
        """Begin a course of the shop's events."""
        return Plan(self.shop().events(), settings.partitions)

    def warm_up_s(self) -> float:
        """Seconds of load before anything is measured: long once, for servers that have just started."""
        seconds = WARM_UP_S if self._warm else COLD_WARM_UP_S
        self._warm = True
        return seconds / 2 if self.options.quick else seconds

    @contextmanager
    def workers(self, settings: Settings, count: int = 1) -> Iterator[Workers]:
        """Workers of the product that know the shop's catalogue."""
        self.say(f"starting {count} worker(s)")
        workers = Workers(settings, count)
        try:
            workers.start()
            publish_items(self.kafka, self.shop())
            wait_taken(workers)
            yield workers
            sound(workers)
        finally:
            workers.stop()

    @contextmanager
    def floor(self, settings: Settings, kind: str, records: int = 0) -> Iterator[Child]:
        """A floor of `tests.benchmarks.floors` that takes records, and answers when it has had so many."""
        self.say(f"starting the floor {kind!r}")
        child = Child(
            "tests.benchmarks.floors",
            kind,
            str(records),
            log=self.work / f"floor-{kind}.log",
            environment=worker_environment(settings),
        )
        try:
            child.hear(Running, 60)
            yield child
        finally:
            child.stop()

    @contextmanager
    def child(self, module: str, *arguments: str) -> Iterator[Child]:
        """A process of the load, or a reader."""
        child = Child(f"tests.benchmarks.{module}", *arguments, log=self.work / f"{module}.log")
        try:
            yield child
        finally:
            child.stop()

    def _find_models(self) -> Path:
        models = (self.options.home / "models").resolve()
        try:
            versions = [latest_bundle(models, name).name for name in ("recommender", "sentiment", "text-encoder")]
            self.models_are = f"from the home: recommender {versions[0]}, sentiment {versions[1]}"
            return models
        except BundleError:
            pass
        built = self.options.home.resolve() / "bench" / "models"
        self.models_are = "small ones, trained for the benchmark in seconds: run `lastclick train all` for real ones"
        if not (built / "text-encoder").exists():
            self.say(f"no models in {models}: building small ones")
            from tests.integration.conftest import build_models

            build_models(built)
        return built

    @contextmanager
    def _undone_on_error(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._ends.close()
            raise


def wait_taken(workers: Workers, seconds: float = 300.0) -> None:
    """Return when the workers have committed all that is on their topics."""
    with GroupLag(workers.settings) as group:
        topics = (*USER_TOPICS, ITEMS)
        wait_until(lambda: sound(workers) and not any(group.by_topic(topics).values()), seconds, "no lag", 0.2)


def sound(workers: Workers) -> bool:
    """Say that no worker has crashed: what would be measured then is a restart.

    Raises
    ------
    WorkersCrashed
        When one has; its last words are in it.
    """
    if not workers.restarts:
        return True
    logs = sorted(workers.settings.logs.glob("worker-*.log"))
    words = "\n".join(line for path in logs for line in path.read_text(errors="replace").splitlines()[-80:])
    raise WorkersCrashed(f"workers crashed {workers.restarts} times while they were measured:\n{words}")


def begin_at_the_end(settings: Settings) -> None:
    """Let the group leave out what earlier runs have left on the topics."""
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka, group_id=settings.group, enable_auto_commit=False)
    try:
        partitions = [TopicPartition(topic, n) for topic in (*USER_TOPICS, ITEMS) for n in range(settings.partitions)]
        ends = consumer.end_offsets(partitions)
        consumer.commit({each: OffsetAndMetadata(offset, "", -1) for each, offset in ends.items()})
    finally:
        consumer.close()


def publish_items(kafka: str, source: Source, remove: bool = False) -> None:
    """Publish a source's catalogue, or take it away."""
    producer = KafkaProducer(bootstrap_servers=kafka)
    for item in source.items():
        producer.send(ITEMS, key=item.item_id.encode(), value=None if remove else encode(item))
    producer.close()


class Processor:
    """Processor time of named processes since the last reading."""

    def __init__(self, pids: dict[str, list[int]]) -> None:
        self._processes = {name: [psutil.Process(pid) for pid in each] for name, each in pids.items()}
        self._processes["harness"] = [psutil.Process(os.getpid())]
        self._before = self._now()
        self._started_s = time.monotonic()

    def read(self) -> dict[str, float]:
        """Seconds of processor time by name, and under ``elapsed`` those of the clock."""
        now = self._now()
        used = {name: seconds - self._before[name] for name, seconds in now.items()}
        return {**used, "elapsed": time.monotonic() - self._started_s}

    def _now(self) -> dict[str, float]:
        return {name: sum(_cpu_s(process) for process in each) for name, each in self._processes.items()}


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)
