"""Loaded by Python at the start of a worker under test: environment variables in, a moved clock and noted stages out.

LASTCLICK_CHAOS_CLOCKS names a folder of offsets: `time.time` and `time.time_ns` move, as when an administrator or NTP
sets the clock; the monotonic clock stays. LASTCLICK_CHAOS_STAGES names a folder for the moments of a worker's start.
"""

from __future__ import annotations

import asyncio
import functools
import mmap
import os
import struct
import sys
import time
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

NOTED = {
    "streams.runtime": ("Runtime", ("open", "start", "ready", "partitions_changed")),
    "streams.flow": ("Flow", ("write",)),
}
"""Methods whose first begin and end are stages of a start, by module and class."""


def _move_clock(path: Path) -> None:
    path.write_bytes(bytes(8))
    with path.open("rb") as file:
        offset = mmap.mmap(file.fileno(), 8, access=mmap.ACCESS_READ)
    true_ns = time.time_ns

    def time_ns() -> int:
        jumped_ns: int = struct.unpack_from("<q", offset)[0]
        return true_ns() + jumped_ns

    time.time_ns = time_ns
    time.time = lambda: time_ns() / 1e9


class _Stages(MetaPathFinder):
    """Writes down when the methods of `NOTED` were first called and first ended, into a file of this process."""

    def __init__(self, folder: Path) -> None:
        self._file = (folder / f"{os.getpid()}").open("a", buffering=1)
        self._seen: set[str] = set()
        self.note("interpreter")

    def note(self, stage: str) -> None:
        if stage not in self._seen:
            self._seen.add(stage)
            self._file.write(f"{time.time()} {stage}\n")

    def find_spec(self, name: str, path: Any, target: ModuleType | None = None) -> ModuleSpec | None:
        if name not in NOTED:
            return None
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def execute_and_wrap(module: ModuleType) -> None:
                execute(module)
                class_name, methods = NOTED[name]
                for method in methods:
                    self._wrap(getattr(module, class_name), method)

            spec.loader.exec_module = execute_and_wrap  # type: ignore[method-assign]  # this one loader's alone
        return spec

    def _wrap(self, owner: type, method: str) -> None:
        original = owner.__dict__[method]
        if isinstance(original, classmethod):
            setattr(owner, method, classmethod(self._noted(original.__func__, method)))
        else:
            setattr(owner, method, self._noted(original, method))

    def _noted(self, call: Any, stage: str) -> Any:
        if asyncio.iscoroutinefunction(call):

            @functools.wraps(call)
            async def asynchronous(*args: Any, **options: Any) -> Any:
                self.note(f"{stage} begins")
                result = await call(*args, **options)
                self.note(f"{stage} ends")
                return result

            return asynchronous

        @functools.wraps(call)
        def plain(*args: Any, **options: Any) -> Any:
            self.note(f"{stage} begins")
            result = call(*args, **options)
            self.note(f"{stage} ends")
            return result

        return plain


if "streams.worker" in sys.orig_argv:
    _clocks = os.environ.get("LASTCLICK_CHAOS_CLOCKS")
    if _clocks:
        _move_clock(Path(_clocks) / f"{os.getpid()}")
    _stages = os.environ.get("LASTCLICK_CHAOS_STAGES")
    if _stages:
        sys.meta_path.insert(0, _Stages(Path(_stages)))
