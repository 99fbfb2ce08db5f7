"""Reads by key that come within a moment: keys in; one query for all of them, and each one's row, out.

A request to Cassandra costs this process as much as ten rows of its answer: objects of the driver, and two threads that
wake each other. So what is asked for in one turn of the event loop travels together, and so does what comes in the
two milliseconds after: the busier the process, the more rows a request brings. Nobody waits for an earlier request.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

SPACING_S = 0.002
"""Least time between two queries; one that comes after a quiet time leaves at once."""

MOST = 32
"""Keys of one query: an answer of 32 lists is 80 kB, and Cassandra reads them side by side."""

Waiting = dict[str, list[asyncio.Future[Any]]]
"""Who waits for the row of each key."""


class Gathered:
    """Reads of one table by key.

    Parameters
    ----------
    send
        Asks for the rows of these keys, and calls `settle` or `fail` with the same dictionary, in the event loop.
    """

    def __init__(self, send: Callable[[Waiting], None]) -> None:
        self._send = send
        self._waiting: Waiting = {}
        self._leaving: asyncio.Handle | None = None
        self._left_at_s = float("-inf")

    def ask(self, key: str) -> asyncio.Future[Any]:
        """Row of the key, as `settle` will have it; None when there is none."""
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Any] = loop.create_future()
        self._waiting.setdefault(key, []).append(answered)
        if len(self._waiting) >= MOST:
            self._leave(loop)
        elif self._leaving is None:
            wait_s = self._left_at_s + SPACING_S - loop.time()
            # Not before the other requests of this turn of the loop have been looked at.
            self._leaving = (
                loop.call_later(wait_s, self._leave, loop) if wait_s > 0 else loop.call_soon(self._leave, loop)
            )
        return answered

    def _leave(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._leaving is not None:
            self._leaving.cancel()
            self._leaving = None
        waiting, self._waiting = self._waiting, {}
        self._left_at_s = loop.time()
        self._send(waiting)


def settle(waiting: Waiting, rows: Iterable[tuple[Any, ...]]) -> None:
    """Give each who waits the row whose first column is their key, or None."""
    by_key = {row[0]: row for row in rows}
    for key, readers in waiting.items():
        row = by_key.get(key)
        for answered in readers:
            if not answered.done():  # else they wait no longer
                answered.set_result(row)


def fail(waiting: Waiting, error: Exception) -> None:
    """Tell all who wait that there is no answer."""
    for readers in waiting.values():
        for answered in readers:
            if not answered.done():
                answered.set_exception(error)
