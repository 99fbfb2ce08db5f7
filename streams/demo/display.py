"""Where frames go: a live screen on a terminal, lines every few seconds anywhere else."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.live import Live

from streams.demo.frame import Frame
from streams.demo.plain import INTERVAL_S, PlainLines
from streams.demo.view import screen
from streams.demo.voice import Voice

Show = Callable[[Frame], None]


@contextlib.contextmanager
def display(voice: Voice) -> Iterator[Show]:
    """Show frames; the caller decides how often, a few times a second at most."""
    if not voice.console.is_terminal:
        yield _plain(voice)
        return
    console = voice.console
    live = Live(console=console, screen=True, auto_refresh=False)

    def show(frame: Frame) -> None:
        live.update(screen(frame, console), refresh=True)

    with voice.holding():
        live.start()
        try:
            yield show
        finally:
            # The terminal may be gone.
            with contextlib.suppress(OSError):
                live.stop()


def _plain(voice: Voice) -> Show:
    told = PlainLines()
    next_at = time.monotonic() + INTERVAL_S

    def show(frame: Frame) -> None:
        nonlocal next_at
        if time.monotonic() >= next_at:
            next_at += INTERVAL_S
            for line in told.lines(frame):
                voice.say(line)

    return show
