"""An archiver that kills itself: the name of a moment in; a process that ends by SIGKILL when it comes, out.

    python -m tests.integration.killed_archiver KAFKA GROUP FOLDER MOMENT PASSES TOPIC...

``PASSES`` says how many times the moment passes before; at `NEVER` the archiver runs until someone else kills it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from kafka import KafkaConsumer
from pyarrow import parquet

from streams.archiver import Archiver
from streams.rolling import Limits
from streams.settings import Settings

NEVER = "never"


class Moment:
    """Passes a number of times, and then kills this process."""

    def __init__(self, passes: int) -> None:
        self._passes = passes

    def comes(self) -> bool:
        """Whether this time is the last."""
        self._passes -= 1
        return self._passes < 0

    def before(self, do: Callable[..., Any]) -> Callable[..., Any]:
        """Make of a function one before which the moment comes."""

        def done(*positional: Any, **named: Any) -> Any:
            if self.comes():
                die()
            return do(*positional, **named)

        return done


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def before_a_file(moment: Moment) -> None:
    parquet.write_table = moment.before(parquet.write_table)


def half_a_file(moment: Moment) -> None:
    write = parquet.write_table

    def write_half(table: Any, file: IO[bytes], **options: Any) -> None:
        write(table, file, **options)
        if moment.comes():
            file.flush()
            file.truncate(os.fstat(file.fileno()).st_size // 2)
            die()

    parquet.write_table = write_half


def before_the_disk_has_it(moment: Moment) -> None:
    os.fsync = moment.before(os.fsync)


def before_it_has_its_name(moment: Moment) -> None:
    Path.rename = moment.before(Path.rename)  # type: ignore[method-assign]  # to stand in for it is what this is for


def before_the_broker_is_told(moment: Moment) -> None:
    KafkaConsumer.commit = moment.before(KafkaConsumer.commit)


def never(moment: Moment) -> None:
    """Someone else kills it."""


MOMENTS = {
    "before a file": before_a_file,
    "half a file": half_a_file,
    "before the disk has it": before_the_disk_has_it,
    "before it has its name": before_it_has_its_name,
    "before the broker is told": before_the_broker_is_told,
    NEVER: never,
}


if __name__ == "__main__":
    kafka, group, folder, name, passes, *topics = sys.argv[1:]
    MOMENTS[name](Moment(int(passes)))
    settings = Settings(kafka=kafka, group=group, home=Path(folder))
    Archiver(settings, Path(folder), topics, Limits(seconds=0.3, file_bytes=20_000)).run()
