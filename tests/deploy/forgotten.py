"""A process that looks like a Java of some home: its command line is a program and `@<argument file>`."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil


@contextmanager
def forgotten(arguments: Path, folder: Path) -> Iterator[int]:
    """Pid of a process that runs with the argument file until the block ends."""
    # `cat @/path` reads below the folder `@`, where a named pipe keeps it waiting.
    pipe = folder / f"@{arguments}"
    pipe.parent.mkdir(parents=True)
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", f"@{arguments}"], cwd=folder) as reader:
        try:
            while psutil.Process(reader.pid).name() != "cat":
                os.sched_yield()
            yield reader.pid
        finally:
            reader.kill()
