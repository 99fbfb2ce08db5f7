"""Releases into a worker: real bundles of a few bytes, with the stores and the broker in memory."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from scorer.recommender import GRAPH, Recommender
from scorer.sentiment import Sentiment
from streams.catalogue import Catalogue, encode_record
from streams.loading import Found
from streams.metrics import Metrics
from streams.releases import Pointer, Release, next_release, point_to
from streams.serving import Models, Serving
from streams.settings import Settings
from streams.swaps import Swaps
from tests.streams.bundles import publish
from tests.streams.fakes import Done, FakeProducer, consumed, item

ENCODER = "0" * 64


class Worker:
    """What a worker serves, and what it says of it; made inside an event loop."""

    def __init__(self, home: Path, encoder: str = ENCODER) -> None:
        self.models = home / "models"
        first = self.models / "recommender" / "v1"
        pointers = {"recommender": point_to(first), "sentiment": point_to(self.models / "sentiment" / "v1")}
        served = Models(Recommender.load(first, "cpu"), Sentiment.load(self.models / "sentiment" / "v1", "cpu"))
        self.catalogue = Catalogue(served.recommender, ENCODER)
        self.catalogue.apply(consumed(b"i", encode_record(item("i"), np.ones(3, np.float32), ENCODER)))
        self.catalogue.refresh()
        self.serving = Serving(served, self.catalogue)
        self.metrics, self.done = Metrics(), Done()
        self.metrics.show_models(served.by_name())
        self.told = 0
        self.swaps = Swaps(
            Settings(home=home, device="cpu"),
            SimpleNamespace(weights_sha256=encoder, dim=3, version="text-1"),  # type: ignore[arg-type]
            Found(pointers, {}),  # type: ignore[arg-type]
            self.serving,
            self.catalogue,
            self._between_batches,
            FakeProducer(self.done),
            self.metrics,
        )
        self.swaps.when_changed = self._tell
        self.task = asyncio.create_task(self.swaps.run())

    async def release(self, value: Release | bytes, name: str = "recommender") -> None:
        """Put a release on the topic, and wait until the worker has said something of it."""
        told = self.told
        encoded = value if isinstance(value, bytes) else msgspec.json.encode(value)
        self.swaps.apply(consumed(name.encode(), encoded))
        async with asyncio.timeout(20):
            while self.told == told:
                await asyncio.sleep(0.01)

    def served(self, name: str = "recommender") -> str:
        """Version that scores, and that the metrics show."""
        model = self.serving.models.by_name()[name]
        shown = [labels for labels in self.metrics.model._metrics if labels[0] == name]
        assert shown == [(name, model.version, model.provider)]
        return model.version

    def count(self, outcome: str, name: str = "recommender") -> float | None:
        labels = {"name": name, "outcome": outcome}
        return self.metrics.registry.get_sample_value("lastclick_releases_total", labels)

    async def _between_batches(self, call: Callable[[], None]) -> None:
        call()

    def _tell(self) -> None:
        self.told += 1


@pytest.fixture
def home(tmp_path: Path) -> Path:
    for name in ("recommender", "sentiment"):
        for version in ("v1", "v2", "v3"):
            publish(tmp_path / "models", name, version)
    return tmp_path


def run(home: Path, scenario: Callable[[Worker], Coroutine[Any, Any, None]], encoder: str = ENCODER) -> None:
    async def through() -> None:
        worker = Worker(home, encoder)
        try:
            await scenario(worker)
            assert not worker.task.done()
        finally:
            worker.task.cancel()
            worker.swaps.close()

    asyncio.run(through())


def release(home: Path, version: str, name: str = "recommender", served: Release | Pointer | None = None) -> Release:
    return next_release(point_to(home / "models" / name / version), served, {}, "anna")


def test_released_recommender_is_served_and_shown(home: Path) -> None:
    async def scenario(worker: Worker) -> None:
        await worker.release(release(home, "v2"))

        assert worker.served() == "v2"
        assert worker.count("swapped") == 1
        assert worker.swaps.refused == {}
        assert worker.metrics.registry.get_sample_value("lastclick_swap_seconds_count") == 1

    run(home, scenario)


def test_released_sentiment_is_served_and_shown(home: Path) -> None:
    async def scenario(worker: Worker) -> None:
        await worker.release(release(home, "v2", "sentiment"), "sentiment")

        assert worker.served("sentiment") == "v2"
        assert worker.served() == "v1"

    run(home, scenario)


def test_release_of_what_is_served_swaps_nothing(home: Path) -> None:
    async def scenario(worker: Worker) -> None:
        await worker.release(release(home, "v1"))

        assert worker.served() == "v1"
        assert worker.count("swapped") is None

    run(home, scenario)


def test_newest_of_several_releases_is_served_in_the_end(home: Path) -> None:
    async def scenario(worker: Worker) -> None:
        worker.swaps.apply(consumed(b"recommender", msgspec.json.encode(release(home, "v2"))))
        await worker.release(release(home, "v3"))

        assert worker.served() == "v3"

    run(home, scenario)


def damage(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-10])


def remove(file: Path) -> None:
    file.unlink()


@pytest.mark.parametrize("harm", [damage, cut, remove])
def test_bundle_that_is_not_whole_is_refused_and_the_old_one_serves_on(
    home: Path, harm: Callable[[Path], None]
) -> None:
    async def scenario(worker: Worker) -> None:
        made = release(home, "v2")
        harm(home / "models" / "recommender" / "v2" / GRAPH)
        await worker.release(made)

        assert worker.served() == "v1"
        assert worker.count("refused") == 1
        assert "v2" in worker.swaps.refused["recommender"]
        assert "restore the folder or train it again" in worker.swaps.refused["recommender"]

        await worker.release(release(home, "v3"))
        assert worker.served() == "v3"
        assert worker.swaps.refused == {}

    run(home, scenario)


@pytest.mark.parametrize("value", [b"not json", b"{}"])
def test_what_is_no_release_is_refused_and_the_old_one_serves_on(home: Path, value: bytes) -> None:
    async def scenario(worker: Worker) -> None:
        await worker.release(value)

        assert worker.served() == "v1"
        assert "lastclick release recommender" in worker.swaps.refused["recommender"]

    run(home, scenario)


def test_foreign_bundle_is_refused(home: Path) -> None:
    async def scenario(worker: Worker) -> None:
        await worker.release(release(home, "v2", "sentiment"))

        assert worker.served() == "v1"
        assert "saw sentiment v2, expected recommender v2" in worker.swaps.refused["recommender"]

    run(home, scenario)


def test_recommender_of_another_text_encoder_is_refused(home: Path) -> None:
    async def scenario(worker: Worker) -> None:
        await worker.release(release(home, "v2"))

        assert worker.served() == "v1"
        assert "was trained on vectors of the text encoder 000000000000" in worker.swaps.refused["recommender"]

    run(home, scenario, encoder="1" * 64)


def test_unknown_name_and_a_removal_change_nothing(home: Path) -> None:
    async def scenario(worker: Worker) -> None:
        worker.swaps.apply(consumed(b"stranger", b"{}"))
        worker.swaps.apply(consumed(b"recommender", None))
        await worker.release(release(home, "v2"))

        assert worker.served() == "v2"

    run(home, scenario)


def test_recommender_that_fails_goes_back_and_all_are_told(home: Path) -> None:
    async def scenario(worker: Worker) -> None:
        first = release(home, "v1")
        await worker.release(first)
        await worker.release(release(home, "v2", served=first))
        told = worker.told

        assert worker.serving._probation is not None
        worker.serving._put_back_recommender(worker.serving._probation, "scores that are not finite")
        async with asyncio.timeout(20):
            while worker.told == told or not worker.done.of("messages"):
                await asyncio.sleep(0.01)

        assert worker.served() == "v1"
        assert worker.count("went_back") == 1
        assert worker.swaps.refused["recommender"] == "v2 went back: scores that are not finite"
        (message,) = worker.done.of("messages")
        assert (message.topic, message.key) == ("releases", b"recommender")
        document = json.loads(message.value)
        assert (document["version"], document["reason"]) == ("v1", "scores that are not finite")
        assert document["sha256"] == first.sha256

        # Its own word comes back on the topic, and changes nothing.
        await worker.release(message.value)
        assert worker.served() == "v1"
        assert worker.count("swapped") == 1

    run(home, scenario)


def test_going_back_takes_no_newer_release_back(home: Path) -> None:
    async def scenario(worker: Worker) -> None:
        await worker.release(release(home, "v2"))
        assert worker.serving._probation is not None
        worker.swaps.apply(consumed(b"recommender", msgspec.json.encode(release(home, "v3"))))
        worker.serving._put_back_recommender(worker.serving._probation, "scores that are not finite")
        async with asyncio.timeout(20):
            while worker.serving.models.recommender.version != "v3":
                await asyncio.sleep(0.01)

        assert worker.done.of("messages") == []

    run(home, scenario)


def test_removal_takes_back_what_was_not_yet_followed(home: Path) -> None:
    async def scenario(worker: Worker) -> None:
        worker.swaps.apply(consumed(b"recommender", msgspec.json.encode(release(home, "v2"))))
        worker.swaps.apply(consumed(b"recommender", None))
        await worker.release(release(home, "v2", "sentiment"), "sentiment")

        assert worker.served() == "v1"

    run(home, scenario)


def test_going_back_to_what_is_released_meanwhile_is_no_refusal(home: Path) -> None:
    async def scenario(worker: Worker) -> None:
        first = release(home, "v1")
        await worker.release(release(home, "v2", served=first))
        assert worker.serving._probation is not None
        # Another worker was faster, and its word arrives first.
        worker.swaps.apply(consumed(b"recommender", msgspec.json.encode(first)))
        worker.serving._put_back_recommender(worker.serving._probation, "scores that are not finite")
        async with asyncio.timeout(20):
            while not worker.count("went_back"):
                await asyncio.sleep(0.01)
        # One thing after another: when this release is followed, the return has been made known.
        await worker.release(release(home, "v2", "sentiment"), "sentiment")

        assert worker.served() == "v1"
        assert worker.count("went_back") == 1
        assert worker.swaps.refused == {}
        assert worker.done.of("messages") == []

    run(home, scenario)


def test_going_back_while_the_topic_holds_no_release_ends_no_worker(home: Path) -> None:
    async def scenario(worker: Worker) -> None:
        await worker.release(release(home, "v2"))
        await worker.release(b"not json")
        assert worker.serving._probation is not None
        worker.serving._put_back_recommender(worker.serving._probation, "scores that are not finite")
        async with asyncio.timeout(20):
            while not worker.count("went_back"):
                await asyncio.sleep(0.01)
        await worker.release(release(home, "v3"))

        assert worker.served() == "v3"
        assert worker.count("went_back") == 1
        assert worker.done.of("messages") == []

    run(home, scenario)
