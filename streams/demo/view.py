"""The live screen: a frame in; header, flow, machinery and the followed shopper out."""

from __future__ import annotations

from rich.console import Console, RenderableType
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from streams.demo.frame import (
    Frame,
    milliseconds,
    sparkline,
    within_target,
)
from streams.demo.view_story import story_panel
from streams.demo.words import shop_time

HEADER_ROWS = 2
TOP_ROWS = 9
LABEL_COLUMNS = 13


def screen(frame: Frame, console: Console) -> RenderableType:
    """Draw a frame for the console's size."""
    width, height = console.size
    layout = Layout()
    top = Layout(name="top", size=TOP_ROWS)
    top.split_row(Layout(_flow(frame), ratio=3), Layout(_machinery(frame), ratio=2))
    layout.split_column(
        Layout(_header(frame), size=HEADER_ROWS),
        top,
        Layout(story_panel(frame.followed, frame.title, width, height - HEADER_ROWS - TOP_ROWS)),
    )
    return layout


def _header(frame: Frame) -> Table:
    table = Table.grid(expand=True)
    table.add_column(ratio=3, no_wrap=True, overflow="ellipsis")
    table.add_column(justify="right", ratio=2, no_wrap=True, overflow="ellipsis")
    until = "" if frame.seconds is None else f" of {_clock(frame.seconds)}"
    table.add_row(
        Text.assemble(
            ("Lastclick ", "bold cyan"), (f"on a simulated shop (seed {frame.seed}): none of it is real", "yellow")
        ),
        Text(f"{frame.doing}  {_clock(frame.elapsed_s)}{until}  Ctrl-C ends it", style="bold"),
    )
    note = (
        Text(frame.notes[-1], style="red") if frame.notes else Text.assemble("in the browser: ", (frame.page, "cyan"))
    )
    shop = f"shop time {shop_time(frame.shop_ms)} UTC" if frame.shop_ms else ""
    table.add_row(note, Text(shop, style="dim"))
    return table


def _flow(frame: Frame) -> Panel:
    table = _pairs()
    rate = frame.sent_rates[-1] if frame.sent_rates else 0.0
    rates = Text.assemble(
        (f"{rate:,.0f} ", "bold"), (sparkline(frame.sent_rates, max(frame.sent_rates, default=0.0)), "cyan")
    )
    table.add_row("events/s", rates)
    events = frame.reading.events
    table.add_row("events sent", f"{frame.sent:,}, applied {events['applied']:,}, duplicates {events['duplicate']:,}")
    known = any(worker.ready for worker in frame.workers)
    table.add_row("consumer lag", f"{frame.reading.lag:,} events" if known else "not known: no worker is ready")
    table.add_row("event to list", _freshness(frame, recent=True))
    table.add_row("", _freshness(frame, recent=False))
    table.add_row("dead letters", _counted(frame.dead_letters, frame.last_dead_letter))
    table.add_row("triggers", _counted(frame.triggers, frame.last_trigger))
    return Panel(table, title="flow", height=TOP_ROWS)


def _freshness(frame: Frame, *, recent: bool) -> Text:
    histogram = frame.recent if recent else frame.overall
    line = Text.assemble(
        "p50 ", (milliseconds(histogram, 50), "bold"), "  p99 ", (milliseconds(histogram, 99), "bold"), "  "
    )
    if recent:
        return line.append("last 10 s", style="dim")
    met = within_target(histogram)
    line.append("overall", style="dim")
    if met is not None:
        line.append(f", target {'met' if met else 'missed'}", style="green" if met else "yellow")
    return line


def _machinery(frame: Frame) -> Panel:
    table = _pairs()
    for worker in frame.workers[:2]:
        state = "ready" if worker.ready else "starting"
        table.add_row("worker", f"pid {worker.pid}, {state}")
    if len(frame.workers) > 2:
        ready = sum(worker.ready for worker in frame.workers)
        table.add_row("workers", f"{len(frame.workers)} in all, {ready} ready")
    table.add_row("restarts", Text(str(frame.restarts), style="red" if frame.restarts else ""))
    for name, version, provider in frame.reading.models:
        table.add_row(name, f"{provider.removesuffix('ExecutionProvider')}  {version}")
    table.add_row("kafka", frame.kafka)
    table.add_row("cassandra", frame.cassandra)
    return Panel(table, title="workers, models, servers", height=TOP_ROWS)


def _pairs() -> Table:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(style="dim", no_wrap=True, width=LABEL_COLUMNS)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    return table


def _counted(count: int, last: str) -> Text:
    return Text.assemble((f"{count:,}", "bold"), f"  {last}" if last else "")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}"
