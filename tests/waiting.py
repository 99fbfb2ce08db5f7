"""Waiting for effects: a condition in, its first true value out, or a failure that says what did not happen."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


def wait_until(condition: Callable[[], Value], seconds: float, what: str, every_s: float = 0.05) -> Value:
    """Ask again and again until the answer is true, and return it."""
    deadline, pause = time.monotonic() + seconds, threading.Event()
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s; last seen: {value!r}"
        pause.wait(every_s)
    return value
