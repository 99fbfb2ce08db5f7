"""The verbs `up`, `down` and `status` for a typer program: options come in, lines or JSON go out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from deploy.local.errors import LauncherError
from deploy.local.launcher import Launcher, default_home
from deploy.local.status import ServerStatus

Home = Annotated[
    Path | None,
    typer.Option("--home", help="Folder of data, logs and run files [env: LASTCLICK_HOME; default: ./.lastclick]."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def up(home: Home = None, as_json: AsJson = False) -> None:
    """Start the local Kafka and Cassandra, and wait until both answer.

    Nothing is started for a server named in LASTCLICK_KAFKA or LASTCLICK_CASSANDRA (host:port).
    """
    try:
        addresses = Launcher(home or default_home(), _tell).up()
    except LauncherError as error:
        _fail(error)
    if as_json:
        typer.echo(json.dumps({"kafka": addresses.kafka, "cassandra": addresses.cassandra}))
    else:
        typer.echo(f"kafka      {addresses.kafka}\ncassandra  {addresses.cassandra}")


def down(home: Home = None) -> None:
    """Stop the servers that `up` started in this home, and no others."""
    try:
        Launcher(home or default_home(), _tell).down()
    except LauncherError as error:
        _fail(error)


def status(home: Home = None, as_json: AsJson = False) -> None:
    """Show which servers answer, where, and where their logs are; exit 1 when one does not answer."""
    try:
        seen = Launcher(home or default_home(), _tell).status()
    except LauncherError as error:
        _fail(error)
    typer.echo(json.dumps(seen.as_json()) if as_json else "\n".join(map(_line, seen.servers)))
    if not seen.all_answer:
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add the three verbs to a program."""
    for verb in (up, down, status):
        app.command()(verb)


def _line(server: ServerStatus) -> str:
    parts = [f"{server.name:<10} {server.state:<13}", server.address or "-"]
    if server.pid is not None:
        parts.append(f"pid {server.pid}, {server.memory_mb} MB")
    if server.log is not None:
        parts.append(f"log {server.log}")
    if server.detail:
        parts.append(server.detail)
    return "  ".join(parts)


def _tell(message: str) -> None:
    typer.echo(message, err=True)


def _fail(error: LauncherError) -> NoReturn:
    typer.echo(f"lastclick: {error}", err=True)
    raise typer.Exit(1) from error
