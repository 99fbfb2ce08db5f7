"""Events and lists in the words of the demo's screen."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from feature_repo.events import Cart, Event, Review
from streams.demo.diff import compare
from streams.demo.story import Step


def deed(event: Event) -> str:
    """What the shopper did."""
    if isinstance(event, Review):
        return "reviewed"
    if not isinstance(event, Cart):
        return "clicked"
    if event.action == "purchase":
        return "bought" if event.quantity > 0 else "returned"
    return "put in cart" if event.action == "add" else "took out"


def item_title(event: Event, title: Callable[[str], str]) -> str:
    """Title of what the event is about."""
    return title(getattr(event, "item_id", ""))


def outcome(step: Step) -> str:
    """What became of the list, and how soon."""
    if step.after is None or step.readable_after_s is None:
        return "list not read yet"
    difference = compare([i.item_id for i in step.before], [i.item_id for i in step.after])
    changes = (
        f"{difference.entered} new, {difference.moved} moved" if difference.entered or difference.moved else "same"
    )
    return f"list in {step.readable_after_s * 1000:.0f} ms: {changes}"


def shop_time(ms: int) -> str:
    """Time in the shop."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%a %d %b %Y %H:%M")
