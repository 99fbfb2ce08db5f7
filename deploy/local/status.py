"""What `status` answers: frozen values, the same for people and for `--json`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

State = Literal["answering", "not answering", "stopped"]


@dataclass(frozen=True)
class ServerStatus:
    """One server as seen now.

    `local` is False for a server given by the environment, which has no pid, memory or log here. `detail`
    says why a server does not answer.
    """

    name: str
    title: str
    version: str | None
    state: State
    local: bool
    address: str | None
    pid: int | None = None
    memory_mb: int | None = None
    log: Path | None = None
    detail: str = ""


@dataclass(frozen=True)
class Status:
    """All servers of a home."""

    home: Path
    servers: tuple[ServerStatus, ...]

    @property
    def all_answer(self) -> bool:
        """Whether the flow could run now."""
        return all(server.state == "answering" for server in self.servers)

    def as_json(self) -> dict[str, Any]:
        """Plain values for `json.dumps`."""
        servers = [{**asdict(each), "log": str(each.log) if each.log else None} for each in self.servers]
        return {"home": str(self.home), "all_answer": self.all_answer, "servers": servers}
