"""What the launcher needs to know of a server, and the folders of a home."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class NotReady(Exception):
    """A server does not answer its protocol yet; the text says what was seen instead."""


@dataclass(frozen=True)
class Places:
    """Files and folders of one server in a home."""

    home: Path
    name: str

    @property
    def data(self) -> Path:
        """Folder of the server's data."""
        return self.home / "servers" / self.name

    @property
    def config(self) -> Path:
        """Folder of rendered settings, written again at each start."""
        return self.home / "run" / self.name

    @property
    def arguments(self) -> Path:
        """Java argument file; its path marks this home's server among all processes."""
        return self.config / "java.args"

    @property
    def record(self) -> Path:
        """Pid file."""
        return self.home / "run" / f"{self.name}.json"

    @property
    def log(self) -> Path:
        """The server's own log: warnings and errors, rolled by size."""
        return self.home / "logs" / f"{self.name}.log"

    @property
    def console(self) -> Path:
        """What the server printed since its last start, normally next to nothing."""
        return self.home / "logs" / f"{self.name}-console.log"


class Server(Protocol):
    """One kind of server: how to set it up, start it and ask it whether it answers."""

    @property
    def name(self) -> str:
        """Name in folders and files: `kafka` or `cassandra`."""

    @property
    def title(self) -> str:
        """Name for people."""

    @property
    def version(self) -> str:
        """Version that the lock pins."""

    @property
    def variable(self) -> str:
        """Environment variable that names servers to use instead."""

    @property
    def usual_ports(self) -> Mapping[str, int]:
        """Purpose to usual port; the purpose `clients` is the one that others connect to."""

    @property
    def timer_slack_us(self) -> int | None:
        """Microseconds by which the system may prolong its short sleeps; None for the system's own."""

    def prepare(self, places: Places, ports: Mapping[str, int], class_path: Sequence[Path]) -> list[str]:
        """Write the settings and whatever a first start needs, and return the command line.

        Raises
        ------
        LauncherError
            When the server's own set-up tool fails.
        """

    def ask(self, host: str, port: int) -> None:
        """Ask over the server's protocol.

        Raises
        ------
        NotReady
            When it does not answer, or answers that it is not ready to serve.
        """
