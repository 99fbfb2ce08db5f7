"""The verb `rules`: what the shop wants of lists, put, shown and removed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from streams import console
from streams.command_line import AsJson, addressed_settings

rules = typer.Typer(
    help="Business rules of lists: pin, boost, bury and block. Workers follow them within seconds.",
    no_args_is_help=True,
)


class NoSuchRule(ValueError):
    """A rule that is to be removed is not there: says which are."""


def register(app: typer.Typer) -> None:
    """Add the verb to the product's command line."""
    app.add_typer(rules, name="rules")


@rules.command()
def put(path: Annotated[Path, typer.Argument(metavar="FILE", help="JSON: one rule, or a list of rules.")]) -> None:
    """Add rules, or replace those of the same rule_id; all of the file is checked first. See docs/scenes.md."""
    from streams.rule_topic import append_rules, read_file

    values = read_file(path)
    append_rules(addressed_settings("kafka"), values)
    console.say(f"{len(values)} rule(s) sent: {', '.join(values)}")


@rules.command("list")
def list_rules(as_json: AsJson = False) -> None:
    """Show the rules, and what on their topic is refused because it is no rule."""
    from streams.rule_topic import read_rules

    found = read_rules(addressed_settings("kafka"))
    if as_json:
        console.print_json({"rules": found})
    else:
        console.print_rules(found)


@rules.command()
def remove(rule_id: Annotated[str, typer.Argument(metavar="RULE_ID")]) -> None:
    """Remove a rule."""
    from streams.rule_topic import append_rules, read_rules

    settings = addressed_settings("kafka")
    known = [each["rule_id"] for each in read_rules(settings)]
    if rule_id not in known:
        raise NoSuchRule(f"rule {rule_id!r} is not there; the rules are: {', '.join(known) or 'none'}")
    append_rules(settings, {rule_id: None})
    console.say(f"rule {rule_id} is removed")
