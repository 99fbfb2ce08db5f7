"""Loaded by Python at the start of a worker under test: a file that names an offset in, a wall clock that jumps out.

Only `time.time` and `time.time_ns` move, as when an administrator or NTP sets the clock; the monotonic clock stays.
"""

from __future__ import annotations

import mmap
import os
import struct
import sys
import time
from pathlib import Path


def _install(path: Path) -> None:
    with path.open("rb") as file:
        offset = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
    true_ns = time.time_ns

    def time_ns() -> int:
        jumped_ns: int = struct.unpack_from("<q", offset)[0]
        return true_ns() + jumped_ns

    time.time_ns = time_ns
    time.time = lambda: time_ns() / 1e9


_folder = os.environ.get("LASTCLICK_CHAOS_CLOCKS")
if _folder and "streams.worker" in sys.orig_argv:
    _file = Path(_folder) / f"worker-{sys.orig_argv[-1]}"
    if _file.exists():
        _install(_file)
