"""The flow under test: a folder and models in; servers behind proxies and workers under a supervisor out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from streams.settings import Settings
from streams.topics import create_topics
from tests.chaos.servers import Servers
from tests.integration.running import Workers

WORKERS = 2
"""Under the supervisor; a fault has a third join and leave."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class UnderTest:
    """What runs."""

    servers: Servers
    settings: Settings
    workers: Workers


@contextmanager
def under_test(home: Path, models: Path, say: Say) -> Iterator[UnderTest]:
    """Start everything in an empty folder, and stop it at the end."""
    servers = Servers(home / "servers", say)
    try:
        servers.start()
        of_workers = home / "workers"
        of_workers.mkdir(parents=True)
        (of_workers / "models").symlink_to(models.resolve())
        settings = Settings(
            kafka=servers.kafka, cassandra=servers.cassandra, home=of_workers, keyspace="chaos", device="cpu"
        )
        create_topics(settings)
        workers = Workers(settings, WORKERS)
        try:
            workers.start()
            say(f"{WORKERS} workers are ready")
            yield UnderTest(servers, settings, workers)
        finally:
            workers.stop()
    finally:
        servers.stop()
