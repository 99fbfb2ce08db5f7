"""Signals that end a demo: Ctrl-C, SIGTERM and SIGHUP in; an orderly end at a known place out."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SLICE_S = 0.05


class Interrupted(BaseException):
    """A signal asked the demo to end; passes every ``except Exception`` on its way to the clean-up."""

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.number = number

    @property
    def exit_code(self) -> int:
        """What a shell expects of a program that a signal ended."""
        return 128 + self.number


class Interrupts:
    """Holds the signals back until the demo asks, so that none of them tears a started process from its owner.

    A context manager, for the main thread; the former handlers come back at its end. Only inside `raising` does a
    signal break into what is going on. Those that come while the demo already ends are ignored.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._raising = False
        self._former: dict[int, Any] = {}

    def __enter__(self) -> Self:
        self._former = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)

    def check(self) -> None:
        """Raise `Interrupted` if a signal came."""
        if self.received is not None:
            raise Interrupted(self.received)

    def wait(self, seconds: float) -> None:
        """Let time pass; raise `Interrupted` when a signal comes, or has come."""
        until = time.monotonic() + seconds
        self.check()
        while (left_s := until - time.monotonic()) > 0:
            time.sleep(min(SLICE_S, left_s))
            self.check()

    def forgive(self) -> None:
        """Forget the signal that came: the next one is noted again."""
        self.received = None

    @contextmanager
    def raising(self) -> Iterator[None]:
        """Around calls that must break off at once and clean up after themselves."""
        self.check()
        self._raising = True
        try:
            # A signal between the check and the line above has only been noted.
            self.check()
            yield
        finally:
            self._raising = False

    def _note(self, number: int, _frame: FrameType | None) -> None:
        first, self.received = self.received is None, number if self.received is None else self.received
        if first and self._raising:
            self._raising = False
            raise Interrupted(number)
