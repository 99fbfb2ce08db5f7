"""Local Kafka and Cassandra: a home folder comes in, the addresses of servers that answer go out."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path

from deploy.local.addresses import Addresses
from deploy.local.cassandra import Cassandra
from deploy.local.kafka import Kafka
from deploy.local.node import Node
from deploy.local.server import Server
from deploy.local.status import ServerStatus, Status

SERVERS: tuple[Server, ...] = (Kafka(), Cassandra())


def default_home(environment: Mapping[str, str] | None = None) -> Path:
    """Folder of data, logs, models and run files: LASTCLICK_HOME, else `.lastclick` in the working folder."""
    given = os.environ if environment is None else environment
    return Path(given.get("LASTCLICK_HOME") or ".lastclick")


class Launcher:
    """Starts, finds and stops the servers of one home, and touches no others.

    Parameters
    ----------
    home : Path
        Folder of the servers' data, logs and run files.
    progress : callable
        Told what is going on, a short line at a time, from several threads.
    environment : mapping of str to str, optional
        Where LASTCLICK_KAFKA and LASTCLICK_CASSANDRA are read; `os.environ` when not given.
    servers : sequence of Server
        A Kafka and a Cassandra.
    """

    def __init__(
        self,
        home: Path,
        progress: Callable[[str], None] = lambda message: None,
        environment: Mapping[str, str] | None = None,
        servers: Sequence[Server] = SERVERS,
    ) -> None:
        self.home = Path(home).expanduser().resolve()
        self._progress = progress
        given = os.environ if environment is None else environment
        self._nodes = {server.name: Node(server, self.home, progress, given) for server in servers}

    def up(self) -> Addresses:
        """Start whatever does not run yet, and return when every server answers its protocol.

        Returns
        -------
        Addresses
            The same ones as long as the servers run.

        Raises
        ------
        LauncherError
            When a server does not come up, or one given by the environment does not answer. Whatever this
            call had started is stopped again; so it is when the call is interrupted.
        """
        with self._locked():
            cancelled = threading.Event()
            with ThreadPoolExecutor(len(self._nodes), thread_name_prefix="launcher") as pool:
                futures = {name: pool.submit(node.up, cancelled) for name, node in self._nodes.items()}
                try:
                    done, _ = wait(futures.values(), return_when=FIRST_EXCEPTION)
                    for future in done:
                        future.result()
                except BaseException:
                    cancelled.set()
                    wait(futures.values())
                    self._each(Node.undo)
                    raise
            return Addresses(**{name: future.result() for name, future in futures.items()})

    def down(self) -> None:
        """Stop the servers of this home; nothing happens when none runs."""
        with self._locked():
            self._each(Node.down)

    def status(self) -> Status:
        """Ask each server now, and start nothing."""
        answers = self._each(Node.status)
        return Status(home=self.home, servers=tuple(answers))

    def _each(self, action: Callable[[Node], ServerStatus | None]) -> list[ServerStatus]:
        with ThreadPoolExecutor(len(self._nodes), thread_name_prefix="launcher") as pool:
            return [answer for answer in pool.map(action, self._nodes.values()) if answer is not None]

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Let one launcher at a time change what runs here; the system frees the lock of a dead one."""
        path = self.home / "run" / "lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self._progress(f"Waiting for another launcher that is busy in {self.home}")
                fcntl.flock(file, fcntl.LOCK_EX)
            yield
