from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import pytest

from feature_repo.events import Click, Event, Item
from streams import replay as module
from streams.replay import Checkpoint, Pace, Replayed, ReplayError, checkpoint_path, replay
from streams.settings import Settings
from tests.streams.fakes import NOW_MS, item


class FakeFuture:
    def __init__(self, error: Exception | None) -> None:
        self._error = error

    def add_errback(self, call: Callable[[Exception], Any]) -> None:
        if self._error is not None:
            call(self._error)


class FakeKafkaProducer:
    """Takes what is sent; from ``refuse_from`` on it refuses."""

    sent: ClassVar[list[tuple[str, bytes, bytes]]] = []
    refuse_from: ClassVar[int | None] = None
    closed: ClassVar[int] = 0

    def __init__(self, **settings: Any) -> None:
        pass

    def send(self, topic: str, key: bytes, value: bytes) -> FakeFuture:
        self.sent.append((topic, key, value))
        refused = self.refuse_from is not None and len(self.sent) > self.refuse_from
        return FakeFuture(ConnectionError("the disk is full") if refused else None)

    def flush(self) -> None:
        pass

    def close(self) -> None:
        type(self).closed += 1


class FakeSource:
    """Two items and ten clicks."""

    name = "fake"

    def __init__(self) -> None:
        self.skipped = Counter({"no customer": 3})

    def items(self) -> Iterator[Item]:
        yield from (item("tent"), item("cup"))

    def events(self) -> Iterator[tuple[str, Event]]:
        for number in range(10):
            yield "clicks", Click(f"e{number}", f"u{number % 3}", "tent", NOW_MS + number)

    def count(self) -> int | None:
        return 10


@pytest.fixture(autouse=True)
def producer(monkeypatch: pytest.MonkeyPatch) -> type[FakeKafkaProducer]:
    fresh = type("Fresh", (FakeKafkaProducer,), {"sent": [], "refuse_from": None, "closed": 0})
    monkeypatch.setattr(module, "KafkaProducer", fresh)
    monkeypatch.setattr(module, "create_topics", lambda settings: {})
    monkeypatch.setattr(module, "_wait_for_catalogue", lambda settings, stop: fresh.sent.append(("wait", b"", b"")))
    return fresh


def events_of(producer: type[FakeKafkaProducer]) -> list[str]:
    return [msgspec.json.decode(value)["event_id"] for topic, _, value in producer.sent if topic == "clicks"]


def test_items_go_first_then_the_catalogue_is_awaited_then_the_events(producer: type[FakeKafkaProducer]) -> None:
    done = replay(FakeSource(), Settings(), Pace())

    assert [topic for topic, _, _ in producer.sent] == ["items", "items", "wait", *["clicks"] * 10]
    assert [key for _, key, _ in producer.sent[:2]] == [b"tent", b"cup"]
    assert [key for topic, key, _ in producer.sent if topic == "clicks"][:4] == [b"u0", b"u1", b"u2", b"u0"]
    assert (done.items, done.events, done.sent) == (2, 10, Counter(clicks=10))
    assert done.skipped_rows == {"no customer": 3}
    assert producer.closed == 1


def test_interrupted_replay_goes_on_with_the_next_event(producer: type[FakeKafkaProducer], tmp_path: Path) -> None:
    place = tmp_path / "run" / "place.json"
    replay(FakeSource(), Settings(), Pace(), checkpoint=place, limit=4)
    assert msgspec.json.decode(place.read_bytes(), type=Checkpoint) == Checkpoint(events=4, complete=False)
    producer.sent.clear()

    done = replay(FakeSource(), Settings(), Pace(), checkpoint=place)

    assert events_of(producer) == [f"e{number}" for number in range(4, 10)]
    assert [topic for topic, _, _ in producer.sent if topic == "items"] == []
    assert (done.skipped_before, done.events) == (4, 6)
    assert msgspec.json.decode(place.read_bytes(), type=Checkpoint) == Checkpoint(events=10, complete=True)


def test_stop_ends_the_replay_after_what_was_sent(producer: type[FakeKafkaProducer], tmp_path: Path) -> None:
    place = tmp_path / "place.json"

    done = replay(FakeSource(), Settings(), Pace(), checkpoint=place, stop=lambda: len(events_of(producer)) >= 3)

    assert done.events == 3
    assert msgspec.json.decode(place.read_bytes(), type=Checkpoint) == Checkpoint(events=3, complete=False)


def test_refused_event_is_an_error_and_is_sent_again_next_time(
    producer: type[FakeKafkaProducer], tmp_path: Path
) -> None:
    place = tmp_path / "place.json"
    replay(FakeSource(), Settings(), Pace(), checkpoint=place, limit=4)
    producer.refuse_from = len(producer.sent) + 2

    with pytest.raises(ReplayError, match=r"events 5 to 10 of fake: the broker refused 4 of them \(the disk is full\)"):
        replay(FakeSource(), Settings(), Pace(), checkpoint=place)

    assert msgspec.json.decode(place.read_bytes(), type=Checkpoint).events == 4
    assert producer.closed == 2


def test_progress_is_told_at_the_end(producer: type[FakeKafkaProducer]) -> None:
    told: list[int] = []

    def note(done: Replayed) -> None:
        told.append(done.events)

    replay(FakeSource(), Settings(), Pace(), progress=note)

    assert told[-1] == 10


def test_rate_spreads_the_events(producer: type[FakeKafkaProducer]) -> None:
    done = replay(FakeSource(), Settings(), Pace(rate=100))

    assert done.seconds >= 0.08


def test_speedup_spreads_the_events_as_they_happened(producer: type[FakeKafkaProducer]) -> None:
    # Nine milliseconds of event time, ten times slower.
    done = replay(FakeSource(), Settings(), Pace(speedup=0.1))

    assert done.seconds >= 0.08


@pytest.mark.parametrize("pace", [{"rate": 0}, {"rate": -1}, {"speedup": 0}, {"rate": float("nan")}])
def test_pace_that_never_moves_is_refused(pace: dict[str, float]) -> None:
    with pytest.raises(ReplayError, match="expected more than 0"):
        Pace(**pace)


def test_two_paces_at_once_are_refused() -> None:
    with pytest.raises(ReplayError, match="at most one"):
        Pace(rate=1, speedup=1)


def test_place_belongs_to_source_file_options_and_broker(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("one")
    settings = Settings(home=tmp_path)
    first = checkpoint_path(settings, "online-retail", log, {})

    others = [
        checkpoint_path(settings, "shop", None, {}),
        checkpoint_path(settings, "shop", None, {"seed": 7}),
        checkpoint_path(Settings(home=tmp_path, kafka="other:1"), "online-retail", log, {}),
    ]
    assert checkpoint_path(settings, "online-retail", log, {}) == first
    log.write_text("one more")
    others.append(checkpoint_path(settings, "online-retail", log, {}))
    os.utime(log, ns=(1, 1))
    others.append(checkpoint_path(settings, "online-retail", log, {}))

    assert len({first, *others}) == 6
    assert all(path.parent == settings.run for path in (first, *others))


def test_place_in_a_folder_is_lost_when_it_has_grown(tmp_path: Path) -> None:
    settings, log = Settings(home=tmp_path), tmp_path / "archive"
    (log / "topic=clicks").mkdir(parents=True)
    (log / "topic=clicks/a.parquet").write_text("1")

    first = checkpoint_path(settings, "archive", log, {})
    (log / ".lock").touch()
    assert checkpoint_path(settings, "archive", log, {}) == first

    (log / "topic=clicks/b.parquet").write_text("2")
    assert checkpoint_path(settings, "archive", log, {}) != first
