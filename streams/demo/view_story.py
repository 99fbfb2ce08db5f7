"""The followed shopper on screen: their steps, and their list before and after the newest one."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from streams.demo.diff import Difference, Placed, compare
from streams.demo.frame import Followed, sparkline
from streams.demo.story import Step
from streams.demo.words import deed, item_title, outcome

STEP_ROWS_SHORT, STEP_ROWS_TALL = 5, 9
TALL = 26
"""Rows of the panel from which more steps fit without crowding out the lists."""
WIDE = 130
"""Columns from which the reasons fit beside the list."""
DEED_STYLES = {"bought": "bold green", "returned": "red", "reviewed": "magenta", "put in cart": "yellow"}
MOOD_STYLES = {"positive": "green", "negative": "red", "neutral": "yellow"}


def story_panel(followed: Followed, title: Callable[[str], str], width: int, height: int) -> RenderableType:
    """Draw the panel, ``width`` columns by ``height`` rows."""
    heading = "one shopper, whose events are sent 1.5 s apart to be watched"
    if not followed.user_id:
        return Panel(Text("looking for a shopper worth following", style="dim"), title=heading, height=height)
    step_rows = STEP_ROWS_TALL if height >= TALL else STEP_ROWS_SHORT
    newest = next((step for step in reversed(followed.steps) if step.after is not None), None)
    parts: list[RenderableType] = [_propensity(followed), _steps(followed.steps[-step_rows:], step_rows, title)]
    rows = height - 2 - 1 - step_rows
    parts.append(_lists(newest, title, width, rows) if newest else Text("\nno list yet", style="dim"))
    return Panel(Group(*parts), title=f"[bold]{followed.user_id}[/], {heading}", height=height, border_style="cyan")


def _propensity(followed: Followed) -> Text:
    line = Text("buys within 24 h: ", no_wrap=True, overflow="ellipsis")
    if not followed.propensities:
        return line.append("not scored yet", style="dim")
    line.append(f"{followed.propensities[-1]:.2f} ", style="bold")
    if len(followed.propensities) > 1:
        line.append(f"({followed.propensities[-1] - followed.propensities[-2]:+.2f}) ", style="dim")
    line.append(sparkline(followed.propensities, 1.0), style="cyan")
    return line.append("  ▁ 0 to █ 1", style="dim")


def _steps(steps: tuple[Step, ...], rows: int, title: Callable[[str], str]) -> Table:
    table = Table.grid(padding=(0, 1), expand=True)
    for ratio in (None, 3, None, 2):
        table.add_column(ratio=ratio, no_wrap=True, overflow="ellipsis")
    for step in steps:
        did = deed(step.event)
        propensity = "" if step.propensity is None else f"{step.propensity:.2f}"
        table.add_row(
            Text(did, style=DEED_STYLES.get(did, "")),
            _subject(step, title),
            Text(propensity, style="cyan"),
            Text(outcome(step), style="dim"),
        )
    for _ in range(rows - len(steps)):
        table.add_row("", "", "", "")
    return table


def _subject(step: Step, title: Callable[[str], str]) -> Text:
    if step.topic != "reviews":
        return Text(item_title(step.event, title))
    line = Text()
    if step.sentiment is not None:
        line.append(
            f"{step.sentiment.label} {step.sentiment.value:+.2f} ", style=MOOD_STYLES.get(step.sentiment.label, "")
        )
    return line.append(f"“{getattr(step.event, 'text', '')}”", style="italic")


def _lists(step: Step, title: Callable[[str], str], width: int, rows: int) -> Table:
    """Both lists side by side, as far as they fit: heading, items, and what left."""
    after = step.after or ()
    difference = compare([item.item_id for item in step.before], [item.item_id for item in after])
    reasons = {item.item_id: item.reason.removeprefix("because ") for item in after}
    wide = width >= WIDE
    table = Table.grid(padding=(0, 1), expand=True)
    for ratio in (2, 2, 2) if wide else (1, 1):
        table.add_column(ratio=ratio, no_wrap=True, overflow="ellipsis")
    heading = [Text("list before", style="bold"), _heading(difference, step)]
    table.add_row(*heading, *([Text("why", style="bold")] if wide else []))
    kept = {placed.item_id for placed in difference.placed}
    for place in range(rows - 1):
        cells = [Text(), Text(), Text()]
        if place < len(step.before):
            item_id = step.before[place].item_id
            gone = item_id not in kept
            cells[0].append(f"{place + 1:2} {'−' if gone else ' '} ", style="red" if gone else "dim")
            cells[0].append(title(item_id), style="red" if gone else "")
        if place < len(difference.placed):
            placed = difference.placed[place]
            cells[1] = _placed(placed, title)
            cells[2].append(reasons[placed.item_id], style="dim")
        table.add_row(*cells[: 3 if wide else 2])
    return table


def _heading(difference: Difference, step: Step) -> Text:
    line = Text("list after ", style="bold")
    line.append(deed(step.event), style="bold")
    return line.append(f"  +{difference.entered} −{len(difference.left)} ↕{difference.moved}", style="not bold dim")


def _placed(placed: Placed, title: Callable[[str], str]) -> Text:
    mark, style = "    ", ""
    if placed.entered:
        mark, style = "new ", "green"
    elif placed.rose:
        mark, style = f"{'▲' if placed.rose > 0 else '▼'}{abs(placed.rose):<3}", "yellow"
    return Text.assemble((f"{placed.place + 1:2} ", "dim"), (mark, style), (title(placed.item_id), style))
