"""What the modules of verbs share: options, the servers' addresses, an end in order at Ctrl-C."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from deploy.local import Launcher, LauncherError
from streams.settings import Settings

AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
SOURCES_HELP = (
    "Name of a source: shop (simulated), archive (what `lastclick archive` has written), online-retail, rees46, "
    "taobao, retailrocket, sequences, csv or parquet; docs/sources.md says what each reads."
)


def addressed_settings(*needed: str) -> Settings:
    """Settings whose servers are those of the environment, or the local ones that run from this folder.

    ``needed`` names the servers (``kafka``, ``cassandra``); both when it names none.
    """
    settings = Settings.from_environment()
    seen = [server for server in Launcher(settings.home).status().servers if not needed or server.name in needed]
    found = {server.name: server.address for server in seen if server.address}
    missing = [server.title for server in seen if not server.address]
    if missing:
        raise LauncherError(
            f"no {' and no '.join(missing)} runs from {settings.home}: start them with `lastclick up`, or set "
            "LASTCLICK_KAFKA and LASTCLICK_CASSANDRA to servers of yours (host:port)"
        )
    return Settings.from_environment(None, **found)


@contextmanager
def stop_on_interrupt() -> Iterator[Any]:
    """First Ctrl-C: end in order. The value says whether it came."""
    stopped = False

    def note(*_: object) -> None:
        nonlocal stopped
        stopped = True

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: stopped
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
