"""Replay: a source's items and events in, records on Kafka out, at a rate, at a multiple of event time, or at once.

Goes on after an interruption where the broker's last acknowledgement was: the order of a source's events never
changes, so a count of them is a place.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import msgspec
from kafka import KafkaProducer
from kafka.producer.future import FutureRecordMetadata

from feature_repo.events import encode
from feature_repo.sources import Source
from streams.lag import GroupLag
from streams.settings import Settings
from streams.topics import ITEMS, create_topics

CHECKPOINT_S = 1.0
"""Seconds between two flushes, after which the place is remembered."""

AHEAD_S = 0.002
"""An event due within this time is sent now: sleeping for less costs more than it spaces."""

CATCH_UP_S = 1.0
"""After a pause (a stopped process, a busy machine), this much of it is made up for at once; the rest is lost time."""

CATALOGUE_TIMEOUT_S = 300.0


class ReplayError(RuntimeError):
    """A replay cannot go on: says what failed, at which event, and what to do."""


@dataclass(frozen=True)
class Pace:
    """How fast to send: ``rate`` events per second, or ``speedup`` times event time, or as fast as possible."""

    rate: float | None = None
    speedup: float | None = None

    def __post_init__(self) -> None:
        if self.rate is not None and self.speedup is not None:
            raise ReplayError("pace: saw both a rate and a speedup, expected at most one of them")
        for name in ("rate", "speedup"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ReplayError(f"pace: saw {name} {value}, expected more than 0")

    def due_s(self, index: int, event_ms: int, first_ms: int) -> float:
        """Seconds after the start at which event number ``index`` is due."""
        if self.rate is not None:
            return index / self.rate
        if self.speedup is not None:
            return (event_ms - first_ms) / 1000 / self.speedup
        return 0.0


class Schedule:
    """When each event is due by a pace, on the clock of ``now_s``, seconds; a long pause moves all that follows."""

    def __init__(self, pace: Pace, now_s: float) -> None:
        self._pace = pace
        self._origin_s = now_s
        self._first_ms: int | None = None
        self._newest_ms = 0

    def due_s(self, index: int, event_ms: int, now_s: float) -> float:
        """Time at which event number ``index`` is due, at most `CATCH_UP_S` before ``now_s``."""
        self._first_ms = event_ms if self._first_ms is None else self._first_ms
        # An event that is late in its log is due at once, and no reason to count time as lost.
        self._newest_ms = max(self._newest_ms, event_ms)
        due_s = self._origin_s + self._pace.due_s(index, self._newest_ms, self._first_ms)
        late_s = now_s - due_s - CATCH_UP_S
        if late_s <= 0 or self._pace == Pace():
            return due_s
        self._origin_s += late_s
        return due_s + late_s


@dataclass
class Replayed:
    """What a replay has done so far."""

    source: str
    items: int = 0
    skipped_before: int = 0
    """Events left out because an earlier, interrupted run had sent them."""
    sent: Counter[str] = field(default_factory=Counter)
    """Events sent and acknowledged, by topic."""
    skipped_rows: Counter[str] = field(default_factory=Counter)
    """Rows of the log that became no event, by reason."""
    seconds: float = 0.0

    @property
    def events(self) -> int:
        """Events sent by this run."""
        return self.sent.total()


class Checkpoint(msgspec.Struct):
    """How far a replay has come: events acknowledged, and whether that was all of them."""

    events: int = 0
    complete: bool = False


def checkpoint_path(settings: Settings, source: str, path: Path | None, options: Mapping[str, object]) -> Path:
    """Where the place in a source is kept; files that changed or came, or other options, make another source."""
    identity = [source, repr(sorted(options.items()))]
    for file in _files(path) if path is not None else ():
        stat = file.stat()
        identity += [str(file.resolve()), str(stat.st_size), str(stat.st_mtime_ns)]
    name = hashlib.blake2b("\0".join([*identity, settings.kafka]).encode(), digest_size=8).hexdigest()
    return settings.run / f"replay-{source}-{name}.json"


def replay(
    source: Source,
    settings: Settings,
    pace: Pace,
    *,
    checkpoint: Path | None = None,
    limit: int | None = None,
    progress: Callable[[Replayed], None] = lambda replayed: None,
    stop: Callable[[], bool] = lambda: False,
) -> Replayed:
    """Send a source's items, wait until workers know them, then send its events.

    Parameters
    ----------
    checkpoint
        File that remembers the place; None starts at the beginning and remembers nothing.
    limit
        Most events to send in this run.
    progress
        Called about once a second, and at the end.
    stop
        Asked between events; True ends the replay after what was sent is acknowledged.

    Raises
    ------
    ReplayError
        When the broker did not take an event.
    """
    create_topics(settings)
    done = Replayed(source.name)
    place = Checkpoint()
    if checkpoint is not None and checkpoint.exists():
        place = msgspec.json.decode(checkpoint.read_bytes(), type=Checkpoint)
    done.skipped_before = place.events
    producer = KafkaProducer(
        bootstrap_servers=settings.kafka.split(","),
        client_id="lastclick-replay",
        linger_ms=5,
        batch_size=64 * 1024,
    )
    try:
        if not place.events:
            for item in source.items():
                producer.send(ITEMS, key=item.item_id.encode(), value=encode(item))
                done.items += 1
            producer.flush()
            _wait_for_catalogue(settings, stop)
        _send_events(producer, source, pace, place, done, checkpoint, limit, progress, stop)
    finally:
        producer.close()
    done.skipped_rows = source.skipped
    progress(done)
    return done


def _files(path: Path) -> list[Path]:
    """A log's file, or the files of a log that is a folder, hidden ones left out: they are no part of it."""
    if not path.is_dir():
        return [path]
    return sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("."))


def _send_events(
    producer: KafkaProducer,
    source: Source,
    pace: Pace,
    place: Checkpoint,
    done: Replayed,
    checkpoint: Path | None,
    limit: int | None,
    progress: Callable[[Replayed], None],
    stop: Callable[[], bool],
) -> None:
    events = islice(source.events(), place.events, None if limit is None else place.events + limit)
    started = last_flush = time.monotonic()
    schedule = Schedule(pace, started)
    waiting: Counter[str] = Counter()
    failures: list[Exception] = []

    def acknowledged() -> None:
        nonlocal last_flush
        producer.flush()
        if failures:
            raise ReplayError(
                f"events {place.events + 1} to {place.events + waiting.total()} of {source.name}: the broker refused "
                f"{len(failures)} of them ({failures[0]}); mend the broker and start the replay again: "
                "it goes on from the last acknowledged event, and repeats are counted once"
            ) from failures[0]
        place.events += waiting.total()
        done.sent.update(waiting)
        waiting.clear()
        last_flush = time.monotonic()
        done.seconds = last_flush - started
        if checkpoint is not None:
            checkpoint.parent.mkdir(parents=True, exist_ok=True)
            checkpoint.write_bytes(msgspec.json.encode(place))
        progress(done)

    index = 0
    for index, (topic, event) in enumerate(events):
        due = schedule.due_s(index, event.occurred_at_ms, time.monotonic())
        while (left_s := due - time.monotonic()) > AHEAD_S and not stop():
            if time.monotonic() - last_flush >= CHECKPOINT_S:
                acknowledged()
            time.sleep(min(left_s, 0.05))
        if stop():
            break
        sent: FutureRecordMetadata = producer.send(topic, key=event.user_id.encode(), value=encode(event))
        sent.add_errback(failures.append)
        waiting[topic] += 1
        if time.monotonic() - last_flush >= CHECKPOINT_S:
            acknowledged()
    else:
        place.complete = limit is None or index + 1 < limit
    acknowledged()


def _wait_for_catalogue(settings: Settings, stop: Callable[[], bool]) -> None:
    """Return when the workers have taken all items, so that the first lists know them; at once when none runs."""
    with GroupLag(settings) as group:
        deadline = time.monotonic() + CATALOGUE_TIMEOUT_S
        while group.members() and group.by_topic([ITEMS])[ITEMS] and not stop():
            if time.monotonic() > deadline:
                raise ReplayError(
                    f"items: the workers did not take all of them within {CATALOGUE_TIMEOUT_S:.0f} s; "
                    f"see the logs in {settings.logs}"
                )
            time.sleep(0.1)
