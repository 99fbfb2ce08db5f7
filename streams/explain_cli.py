"""The verb `explain`: a user and an item in; the item's lineage, in words or as one JSON document, out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from streams import console
from streams.command_line import AsJson, addressed_settings

if TYPE_CHECKING:
    from streams.explanation import Explanation

MOST_CAUSES = 10
"""Events shown in words; the JSON document has all."""


def register(app: typer.Typer) -> None:
    """Add the verb to the product's command line."""
    app.command()(explain)


def explain(
    user_id: Annotated[str, typer.Argument(metavar="USER", help="A user_id.")],
    item_id: Annotated[str, typer.Argument(metavar="ITEM", help="An item_id.")],
    as_json: AsJson = False,
) -> None:
    """Say why an item is, or is not, in a user's list: events, score parts, features, rank, filters and the list.

    Reads only; ids of events are looked up on the topics, as far back as these reach. See docs/explain.md.
    """
    from streams.explain_sources import explain_item

    with console.reading_progress(as_json) as progress:
        found = explain_item(addressed_settings(), user_id, item_id, progress)
    if as_json:
        console.print_json(msgspec.to_builtins(found))
    else:
        print_explanation(found)


def print_explanation(found: Explanation) -> None:
    """Show an explanation in words and tables."""
    from rich.markup import escape
    from rich.table import Table

    out = console.stdout
    for sentence in found.answer:
        out.print(sentence, highlight=False, markup=False, soft_wrap=True)
    causes = Table("event", "topic", "time", "what", "part in the score", title=f"Score {found.score:.3f}")
    for cause in found.causes[:MOST_CAUSES]:
        what = f"{cause.action} {cause.title or cause.item_id}"
        part = f"{cause.score_part:+.3f}"
        causes.add_row(escape(cause.event_id or "-"), cause.topic, _time(cause.occurred_at_ms), escape(what), part)
    out.print(causes)
    if len(found.causes) > MOST_CAUSES:
        out.print(f"and {len(found.causes) - MOST_CAUSES} more events; --json has all", highlight=False)
    features = Table("features", "values", "points", title=f"Purchase within 24 hours: {found.propensity:.1%}")
    for group in found.features:
        shown = ", ".join(f"{name} {_value(value)}" for name, value in group.values.items() if value not in (0, ""))
        features.add_row(group.name, escape(shown) or "nothing", f"{100 * group.propensity_part:+.1f}")
    out.print(features)
    stored = found.stored_list
    if stored is not None:
        out.print(
            f"list {stored.list_id} of model {stored.model_version}, caused by event {stored.caused_by} of "
            f"{_time(stored.event_at_ms)}, written {_time(stored.written_at_ms)}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def _value(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}"


def _time(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
