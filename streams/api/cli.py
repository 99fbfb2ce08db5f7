"""The API's verbs: `serve` and `api-key`."""

from __future__ import annotations

from typing import Annotated

import typer

from streams import console
from streams.api.keys import SCOPES, new_key
from streams.command_line import addressed_settings


def register(app: typer.Typer) -> None:
    """Add the verbs to the command line."""
    app.command()(serve)
    keys = typer.Typer(help="Keys of the read API.", no_args_is_help=True)
    keys.callback()(_keys)
    keys.command("new")(new)
    app.add_typer(keys, name="api-key")


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; any but loopback needs API keys.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port to listen on; 0 takes a free one.")] = 8800,
) -> None:
    """Run the read API and the collector until Ctrl-C: lists, profiles, the catalogue, live changes, events.

    docs/api.md says what it answers.
    """
    from streams.api.server import serve as serve_api
    from streams.api.settings import ApiSettings

    serve_api(addressed_settings(), ApiSettings.from_environment(), host, port, console.say)


def new(
    scope: Annotated[list[str], typer.Option(help="What the key may do: read, write or admin; repeatable.")],
    name: Annotated[str, typer.Option(help="Who uses it; shown in logs, and limited by.")] = "storefront",
) -> None:
    """Print a new key, once, and the line for the file that LASTCLICK_API_KEYS names."""
    if not name.isprintable() or len(name.split()) != 1 or name.startswith("#"):
        raise typer.BadParameter(f"--name: saw {name!r}, expected one word that does not begin with #")
    scopes = frozenset(known for known in SCOPES if known in scope)
    if len(scopes) < len(set(scope)):
        raise typer.BadParameter(f"--scope: saw {', '.join(scope)}, expected some of {', '.join(SCOPES)}")
    key, line = new_key(name, scopes)
    typer.echo(f"key   {key}\nline  {line}")
    console.say("The key is shown this once; the line goes into the file.")


def _keys() -> None:
    """Keys of the read API."""
