"""Servers to be broken: a folder in; a Kafka and a Cassandra of its own, each behind a proxy, out."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from signal import SIGCONT, Signals

import psutil

from deploy.local import Launcher
from deploy.local.cassandra import Cassandra
from deploy.local.kafka import Kafka
from deploy.local.ports import HOST, is_free
from deploy.local.process import read_record
from deploy.local.server import Places
from tests.chaos.proxy import Proxy
from tests.waiting import wait_until

FIRST_PORT = 20_000
"""Below the ports that the system gives to clients: a server that is away must find its port free when it returns."""

NAMES = ("kafka", "cassandra")


class Servers:
    """A Kafka and a Cassandra of one folder. Clients reach them through `proxies`, Kafka's advertised address too."""

    def __init__(self, home: Path, progress: Callable[[str], None]) -> None:
        self._home = home
        # Runs that begin side by side look in different places.
        ports = _free_ports(6, FIRST_PORT + os.getpid() % 1000 * 10)
        broker, controller, kafka_proxy, clients, storage, cassandra_proxy = ports
        kafka, cassandra = Kafka(advertised_port=kafka_proxy), Cassandra()
        kafka.usual_ports = {"clients": broker, "controller": controller}
        cassandra.usual_ports = {"clients": clients, "storage": storage}
        self.proxies = {"kafka": Proxy(kafka_proxy, broker), "cassandra": Proxy(cassandra_proxy, clients)}
        self.cassandra_itself = f"{HOST}:{clients}"
        """Cassandra's address past the proxy, for whoever checks."""
        # Servers of the environment are not ours to break.
        self._launcher = Launcher(home, progress, environment={}, servers=(kafka, cassandra))

    @property
    def kafka(self) -> str:
        """Kafka's address through the proxy; there is no other."""
        return self.proxies["kafka"].address

    @property
    def cassandra(self) -> str:
        """Cassandra's address through the proxy."""
        return self.proxies["cassandra"].address

    def start(self) -> None:
        """Start proxies and servers, and return when both answer."""
        for proxy in self.proxies.values():
            proxy.start()
        self._launcher.up()

    def stop(self) -> None:
        """Stop all of it."""
        for name in NAMES:
            self.signal(name, SIGCONT)
        self._launcher.down()
        for proxy in self.proxies.values():
            proxy.stop()

    def signal(self, name: str, number: Signals) -> None:
        """Send a server's process a signal, if it runs."""
        process = self._process(name)
        if process is not None:
            process.send_signal(number)

    def end(self, name: str, number: Signals) -> None:
        """End a server by a signal, and return when its process is gone."""
        self.signal(name, number)
        wait_until(lambda: self._process(name) is None, 90, f"the end of {name}")

    def start_again(self) -> None:
        """Start what does not run, and return when it answers."""
        self._launcher.up()

    def _process(self, name: str) -> psutil.Process | None:
        record = read_record(Places(self._home, name).record)
        if record is None:
            return None
        try:
            process = psutil.Process(record.pid)
            return None if process.status() == psutil.STATUS_ZOMBIE else process
        except psutil.NoSuchProcess:
            return None


def _free_ports(count: int, first: int) -> list[int]:
    ports: list[int] = []
    while len(ports) < count:
        if is_free(first):
            ports.append(first)
        first += 1
    return ports
