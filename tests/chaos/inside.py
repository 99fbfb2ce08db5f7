"""What happens inside workers: a folder in; wall clocks that jump, and the moments of each worker's start, out."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CLOCKS = "LASTCLICK_CHAOS_CLOCKS"
STAGES = "LASTCLICK_CHAOS_STAGES"


class Clocks:
    """Wall clocks of workers, each to be moved by itself, through files that they read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Have workers that are started meanwhile read their clock through the files."""
        self._folder.mkdir(parents=True)
        with _in_workers(CLOCKS, self._folder):
            yield

    def jump(self, pid: int, seconds: float) -> None:
        """Put the wall clock of a worker's process this many seconds off; 0 puts it right."""
        # Written in place: the worker made the file and has it mapped.
        with (self._folder / str(pid)).open("r+b") as file:
            file.write(struct.pack("<q", int(seconds * 1e9)))


class Stages:
    """Moments of workers' starts, as they write them down themselves."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Have workers that are started meanwhile write down their stages."""
        self._folder.mkdir(parents=True)
        with _in_workers(STAGES, self._folder):
            yield

    def of(self, pid: int) -> dict[str, float]:
        """Stages of a worker process in the order in which they came, seconds since the epoch."""
        lines = (self._folder / str(pid)).read_text().splitlines()
        return {stage: float(at) for at, _, stage in (line.partition(" ") for line in lines)}


@contextmanager
def _in_workers(variable: str, folder: Path) -> Iterator[None]:
    """Have Python load `in_worker/sitecustomize.py` when a process starts, told of a folder."""
    before = os.environ.get("PYTHONPATH")
    ours = str(Path(__file__).parent / "in_worker")
    os.environ["PYTHONPATH"] = ours if before is None else f"{ours}{os.pathsep}{before}"
    os.environ[variable] = str(folder)
    try:
        yield
    finally:
        del os.environ[variable]
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
