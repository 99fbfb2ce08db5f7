"""Wall clocks of workers: a worker's number and an offset in, a clock that jumps in that process alone out."""

from __future__ import annotations

import os
import struct
from pathlib import Path

VARIABLE = "LASTCLICK_CHAOS_CLOCKS"
WORKERS = 8


class Clocks:
    """Files that `worker_clock/sitecustomize.py` reads in each worker started after `install`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def install(self) -> None:
        """Have workers started from this process read their clock through the files."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for instance in range(WORKERS):
            self.jump(instance, 0.0)
        here = str(Path(__file__).parent / "worker_clock")
        before = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != here]
        os.environ["PYTHONPATH"] = os.pathsep.join([here, *before])
        os.environ[VARIABLE] = str(self._folder)

    def jump(self, instance: int, seconds: float) -> None:
        """Put a worker's wall clock this many seconds off; 0 puts it right."""
        path = self._folder / f"worker-{instance}"
        # Written in place: the worker has the file mapped.
        with path.open("r+b" if path.exists() else "wb") as file:
            file.write(struct.pack("<q", int(seconds * 1e9)))

    def uninstall(self) -> None:
        """Let later workers read the true clock."""
        os.environ.pop(VARIABLE, None)
