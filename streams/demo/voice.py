"""What the demo says in lines: steps and messages in; lines on the terminal, or notes under a live screen, out."""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Iterator

from rich.console import Console, RenderableType

NOTES_KEPT = 50


class Voice:
    """Prints, and never fails: the terminal may be gone while the demo still cleans up behind itself."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._started = time.monotonic()
        self._steps = 0
        self._held: deque[str] | None = None

    def step(self, title: str) -> None:
        """Begin a step."""
        self._steps += 1
        self.show(f"[bold cyan]{self._steps}[/] [bold]{title}[/]")

    def say(self, message: str) -> None:
        """Tell what goes on; safe from any thread."""
        if self._held is not None:
            self._held.append(message)
            return
        with contextlib.suppress(OSError):
            elapsed_s = time.monotonic() - self._started
            self.console.print(f"  {elapsed_s:5.1f} s  {message}", markup=False, highlight=False, soft_wrap=True)

    def show(self, what: RenderableType) -> None:
        """Print something else than a message."""
        with contextlib.suppress(OSError):
            self.console.print(what, highlight=False)

    @contextlib.contextmanager
    def working(self, on: str) -> Iterator[None]:
        """Show that something goes on; nothing where there is no terminal."""
        status = self.console.status(f"{on} ...")
        try:
            status.start()
            yield
        finally:
            with contextlib.suppress(OSError):
                status.stop()

    @property
    def notes(self) -> tuple[str, ...]:
        """Messages that are held back, the newest last."""
        return tuple(self._held or ())

    @contextlib.contextmanager
    def holding(self) -> Iterator[None]:
        """Hold messages back while something else fills the screen; they are printed afterwards."""
        self._held = deque(maxlen=NOTES_KEPT)
        try:
            yield
        finally:
            held, self._held = self._held, None
            for message in held:
                self.say(message)
