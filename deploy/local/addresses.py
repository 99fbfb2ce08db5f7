"""Addresses of servers: text of the environment comes in, checked `host:port` lists go out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from deploy.local.errors import LauncherError


@dataclass(frozen=True)
class Addresses:
    """Where the servers answer: `host:port`, or several of them with commas between."""

    kafka: str
    cassandra: str


def given_address(variable: str, environment: Mapping[str, str]) -> str | None:
    """Address that the environment gives, without blanks; None when the variable is unset or empty.

    Raises
    ------
    LauncherError
        When a part of it is no `host:port`.
    """
    text = environment.get(variable, "").strip()
    if not text:
        return None
    return ",".join(f"{host}:{port}" for host, port in split_addresses(variable, text))


def split_addresses(variable: str, text: str) -> list[tuple[str, int]]:
    """Hosts and ports of an address list.

    Raises
    ------
    LauncherError
        When a part of it is no `host:port`.
    """
    pairs = []
    for part in text.split(","):
        host, _, port = part.strip().rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise LauncherError(
                f"{variable} has {part.strip()!r}, expected host:port (several with commas between), "
                "for example 127.0.0.1:9092; correct it, or unset it to have a local server started"
            )
        pairs.append((host, int(port)))
    return pairs
