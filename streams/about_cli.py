"""The verb `about`: a text in; what it is about, and how it speaks of it, out."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from streams import console
from streams.command_line import AsJson
from streams.settings import Settings


def register(app: typer.Typer) -> None:
    """Add the verb that reads a text to the product's command line."""
    app.command()(about)


def about(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="A review, in quotes.")], as_json: AsJson = False
) -> None:
    """Print which of product, service and delivery a text is about, each with its sentiment. Needs no server.

    The model is the newest that `lastclick train aspects` has published.
    """
    from streams.about import about as about_text

    answer = about_text(Settings.from_environment(), text)
    if as_json:
        console.print_json(msgspec.to_builtins(answer))
    else:
        console.print_about(answer)
