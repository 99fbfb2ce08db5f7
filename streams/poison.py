"""Records on which the process dies: batches in, parts that a successor can tell apart out; the one to blame refused.

A text may crash native code (ONNX Runtime, tokenizers) and take the worker with it. Started again, the worker takes the
same batch, and dies again. So a worker whose predecessor died of such a signal is cautious for a while: it works on
small parts, one after the other, and notes on disk which one it is about to touch. If it dies again, its successor
takes the records of that part one by one, and the record that was alone when the process died becomes a dead letter.
A batch of 400 takes three deaths to see through, one of 20 two. Without such a death nothing is noted, and nothing
costs anything.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from feature_repo.events import DecodeError
from streams.batches import Arrived, MicroBatches
from streams.records import Record

log = logging.getLogger(__name__)

PARTS = 20
"""Parts of a batch while the worker is cautious."""

CAUTIOUS_RECORDS = 50_000
"""Records for which a worker is cautious: more than can have been waiting for their commit when the last one died."""

REMEMBERED = 100
"""Poison that is remembered, in case it is delivered again before its offset is committed."""


JOURNAL = "attempt-"
"""How the names of journals begin, in the folder of the run files."""


def journal_path(folder: Path, instance: int) -> Path:
    """Journal of a worker, by its number."""
    return folder / f"{JOURNAL}{instance}.json"


class Place(msgspec.Struct, frozen=True, array_like=True):
    """A record: where it stands, and since when, for a topic that was deleted and made again counts from 0 too."""

    topic: str
    partition: int
    offset: int
    appended_at_ms: int


class Journal(msgspec.Struct):
    """What a worker leaves to its successor: the records it is about to touch, and the poison it knows."""

    attempt: list[Place] = []
    poison: list[Place] = []


class Caution:
    """How careful one worker is.

    Parameters
    ----------
    path
        The journal: a file of this worker, which outlives it.
    died_of
        Name of the signal that the last process under this number died of, such as SIGSEGV; empty when it did not crash
        in native code.
    """

    def __init__(self, path: Path, died_of: str) -> None:
        self._path = path
        self._journal = _read(path)
        self._suspects: set[Place] = set(self._journal.attempt) if died_of else set()
        self._left = CAUTIOUS_RECORDS if died_of else 0
        self._waiting: dict[MicroBatches, deque[Arrived]] = {}
        # One part at a time, of items or of events, so that a death has one part to blame.
        self._alone = asyncio.Lock()
        if len(self._suspects) == 1:
            (culprit,) = self._suspects
            log.error("%s: the process died of %s while it worked on this record alone: dead letter", culprit, died_of)
            self._journal.poison = [*self._journal.poison, culprit][-REMEMBERED:]
        if self._journal.attempt:
            self._note([])
        # Other workers of this machine may have had the partition, and died of it, in the meantime.
        self._poison = {place for journal in path.parent.glob(f"{JOURNAL}*.json") for place in _read(journal).poison}

    async def next(self, batches: MicroBatches) -> Arrived:
        """Wait for a batch, or take the next part of the one that was cut last."""
        waiting = self._waiting.setdefault(batches, deque())
        if not waiting:
            arrived = await batches.next()
            if not self._left:
                return arrived
            waiting.extend(arrived.cut(self.parts(arrived.records)))
        return waiting.popleft()

    def parts(self, batch: Sequence[Record]) -> Iterator[slice]:
        """Cut a batch, in its order: suspects alone, the others in parts of a twentieth of the batch."""
        if not self._left:
            yield slice(0, len(batch))
            return
        size = max(1, len(batch) // PARTS)
        start = 0
        for end, record in enumerate(batch):
            suspect = _place(record) in self._suspects
            if end > start and (suspect or end - start == size or _place(batch[end - 1]) in self._suspects):
                yield slice(start, end)
                start = end
        yield slice(start, len(batch))

    @asynccontextmanager
    async def touching(self, part: Sequence[Record]) -> AsyncIterator[list[Record]]:
        """Give the records of a part with poison marked; if the process dies inside, its successor knows."""
        marked = list(part)
        if self._poison:
            marked = [dataclasses.replace(r, poison=True) if _place(r) in self._poison else r for r in part]
        if not self._left:
            yield marked
            return
        async with self._alone:
            self._note([_place(record) for record in marked if not record.poison])
            yield marked
            self._note([])
            self._left = max(0, self._left - len(part))

    def _note(self, attempt: list[Place]) -> None:
        """Write the journal. Not forced to the disk: it must outlive the process, not the machine."""
        self._journal.attempt = attempt
        self._path.parent.mkdir(parents=True, exist_ok=True)
        new = self._path.with_suffix(".new")
        new.write_bytes(msgspec.json.encode(self._journal))
        new.replace(self._path)


def refuse_poison(record: Record) -> None:
    """Raise the `DecodeError` of a record that is marked as poison."""
    if record.poison:
        raise DecodeError(
            "value",
            "a record on which the worker's process died, twice, the second time while it worked on nothing else",
            "one that the models' native code survives; report it with the versions in use",
        )


def _place(record: Record) -> Place:
    return Place(record.topic, record.partition, record.offset, record.appended_at_ms)


def _read(path: Path) -> Journal:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Journal)
    except FileNotFoundError:
        return Journal()
    except ValueError as error:
        log.warning("%s: %s; going on without it", path, error)
        return Journal()
