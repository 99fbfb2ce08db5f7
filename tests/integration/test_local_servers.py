"""The launcher with the real servers: one home through a first start, kill -9 and another start."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest
from cassandra.cluster import Cluster
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

from deploy.local import Addresses, Launcher

pytestmark = pytest.mark.integration

ROWS = 200


@dataclass
class Home:
    """A home whose name has a blank, and what was said while it came up."""

    path: Path
    told: list[str] = field(default_factory=list)

    def launcher(self) -> Launcher:
        # An empty environment: servers given to the other tests are none of this one's.
        return Launcher(self.path, self.told.append, environment={})

    def pids(self) -> dict[str, int]:
        return {server.name: server.pid for server in self.launcher().status().servers if server.pid}

    def ports(self) -> set[int]:
        """All ports of both servers, those between their own parts included."""
        records = [json.loads((self.path / "run" / f"{name}.json").read_text()) for name in self.pids()]
        return {port for record in records for port in record["ports"].values()}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    made = Home(tmp_path_factory.mktemp("local servers"))
    yield made
    made.launcher().down()


def write(addresses: Addresses) -> None:
    """Write a topic with one message and a table of rows, each acknowledged, and wait until they are on disk."""
    admin = KafkaAdminClient(bootstrap_servers=addresses.kafka)
    admin.create_topics([NewTopic("kept", num_partitions=1, replication_factor=1)])
    admin.close()
    producer = KafkaProducer(bootstrap_servers=addresses.kafka, acks="all")
    producer.send("kept", b"a message").get(timeout=30)
    producer.close()
    with cluster(addresses) as connected:
        session = connected.connect()
        session.execute("CREATE KEYSPACE kept WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}")
        session.execute("CREATE TABLE kept.rows (id int PRIMARY KEY, text text)")
        insert = session.prepare("INSERT INTO kept.rows (id, text) VALUES (?, 'a row')")
        for number in range(ROWS):
            session.execute(insert, (number,))
        # Cassandra syncs its log every 200 ms, and acknowledges nothing while it is more than 300 ms behind: a write
        # that it acknowledges later than that says that the rows before are on disk.
        written = time.monotonic()
        while time.monotonic() < written + 0.3:
            session.execute(insert, (0,))
        session.execute(insert, (0,))


def read(addresses: Addresses) -> tuple[list[bytes], int]:
    """Messages of the topic and the number of rows."""
    consumer = KafkaConsumer(bootstrap_servers=addresses.kafka, auto_offset_reset="earliest")
    partition = TopicPartition("kept", 0)
    consumer.assign([partition])
    batches = consumer.poll(timeout_ms=30_000)
    consumer.close()
    with cluster(addresses) as connected:
        rows = list(connected.connect().execute("SELECT id FROM kept.rows"))
    return [message.value for message in batches[partition]], len(rows)


def cluster(addresses: Addresses) -> Cluster:
    host, port = addresses.cassandra.split(":")
    return Cluster([host], port=int(port), protocol_version=5)


def runs(pid: int) -> bool:
    """Whether a process, or a thread of a killed one, still holds its ports and files."""
    try:
        seen = psutil.Process(pid)
        return seen.status() != psutil.STATUS_ZOMBIE or seen.num_threads() > 1
    except psutil.NoSuchProcess:
        return False


@contextmanager
def taken(ports: set[int]) -> Iterator[None]:
    """Listen on ports that killed servers have left, unless another home was faster."""
    with ExitStack() as stack:
        for port in ports:
            with suppress(OSError):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
        yield


def test_servers_come_up_stay_and_recover_with_their_data(home: Home) -> None:
    addresses = home.launcher().up()
    pids = home.pids()
    assert set(pids) == {"kafka", "cassandra"}
    for pid in pids.values():
        listening = [c for c in psutil.Process(pid).net_connections("tcp") if c.status == psutil.CONN_LISTEN]
        assert {c.laddr.ip.removeprefix("::ffff:") for c in listening} == {"127.0.0.1"}

    assert home.launcher().up() == addresses
    assert home.pids() == pids

    ports = home.ports()
    write(addresses)
    # Right after the last acknowledgement, with no chance to flush.
    for pid in pids.values():
        os.kill(pid, signal.SIGKILL)
    while any(runs(pid) for pid in pids.values()):
        os.sched_yield()
    # Their ports are lost meanwhile: they come back elsewhere, with the same data.
    with taken(ports):
        moved = home.launcher().up()
    assert {moved.kafka, moved.cassandra}.isdisjoint({addresses.kafka, addresses.cassandra})
    assert read(moved) == ([b"a message"], ROWS)
    assert home.ports().isdisjoint(ports)
    assert set(home.pids().values()).isdisjoint(pids.values())

    pids = home.pids()
    home.launcher().down()
    assert not any(runs(pid) for pid in pids.values())
    assert not any(server.pid for server in home.launcher().status().servers)


def test_logs_are_quiet(home: Home) -> None:
    lines = [line for log in (home.path / "logs").glob("*.log") for line in log.read_text().splitlines()]
    assert 0 < len(lines) < 200
