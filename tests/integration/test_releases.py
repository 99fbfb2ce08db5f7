"""Models swapped in running workers while events flow: nothing lost, no list of two models, no way in for a bad one."""

from __future__ import annotations

import json
import logging
import random
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest
from kafka import KafkaConsumer, TopicPartition

from feature_repo.events import Item
from feature_repo.sources.shop import START_MS
from scorer.bundle import MODEL_CARD, TrainedOn, latest_bundle
from scorer.recommender import GRAPH
from streams import releasing
from streams.release_topic import append_release, read_releases
from streams.releases import Release, ReleaseError, decode_release, next_release, point_to
from streams.settings import Settings
from streams.topics import RELEASES, SCORES
from tests.bundle_variants import not_finite, publish_damaged, publish_variant, scaled
from tests.integration.clients import Document, Sender, Storefront, Tail, click, review, user
from tests.integration.conftest import TRAINED_ON
from tests.integration.recompute import events_in, stored_states
from tests.integration.running import Fleet, Workers
from tests.waiting import wait_until
from training.gates.recommender import PARITY
from training.model_card import ModelCard

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(900),
    # Some fifty clients of kafka-python live for a moment here. One that is closed while it still connects to another
    # address of the broker leaves that socket to the garbage collector (kafka-python 3.0, see its pull request 3097).
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]

DAY_MS = 86_400_000
EVENTS_PER_S = 300
SWAPS = 10
FACTORS = (1024.0, 2.0**-10, 1.0)
"""Scales of the versions, in turn: a list made of two versions has scores a thousand times too large or too small."""

OpenTail = Callable[[str], Tail]
log = logging.getLogger(__name__)


@dataclass
class Shop:
    """Workers under test with models of their own, which tests release to."""

    settings: Settings
    fleet: Fleet
    count: int
    first: Path

    @property
    def workers(self) -> Workers:
        """The workers, as many as `count` says."""
        return self.fleet.of(self.settings, self.count)

    def publish(self, change: Callable[[Path], None], **manifest: Any) -> Path:
        """Publish a variant of the first recommender."""
        return publish_variant(self.first, self.settings.models, change, **manifest)

    def release(self, bundle: Path) -> None:
        """Release a bundle, past the gates."""
        name = bundle.parent.name
        append_release(self.settings, name, next_release(point_to(bundle), self.released(name), {}, "a test"))

    def released(self, name: str) -> Release | None:
        """What is on the topic; None where it holds nothing, or what is no release."""
        value = read_releases(self.settings).get(name)
        try:
            return decode_release(name, value) if value is not None else None
        except ReleaseError:
            return None

    def serves(self, bundle: Path) -> bool:
        """Whether all workers serve it."""
        name = bundle.parent.name
        return self.workers.all_ready() and all(
            worker.models[name] == bundle.name and name not in worker.refused for worker in self.workers.ready()
        )

    def wait_served(self, bundle: Path) -> None:
        wait_until(lambda: self.serves(bundle), 120, f"workers that serve {bundle.name}", 0.02)

    def wait_refused(self, name: str, why: str) -> None:
        def refused() -> bool:
            workers = self.workers.ready()
            return len(workers) == self.workers.count and all(why in each.refused.get(name, "") for each in workers)

        wait_until(refused, 120, f"workers that refuse {name}: {why}")


@pytest.fixture(scope="module")
def alone(
    settings: Settings, fleet: Fleet, sender: Sender, stock: list[Item], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shop]:
    """One worker; the topic is empty again after the last test."""
    home = tmp_path_factory.mktemp("releases")
    shutil.copytree(settings.models, home / "models")
    shop = Shop(replace(settings, home=home), fleet, 1, latest_bundle(home / "models", "recommender"))
    shop.workers.wait_drained()
    yield shop
    fleet.finish()
    fleet.stop()
    for name in ("recommender", "sentiment"):
        sender.send_bytes(RELEASES, name.encode(), None)


@pytest.fixture
def shop(alone: Shop) -> Shop:
    """Two workers."""
    pair = replace(alone, count=2)
    pair.workers.wait_drained()
    return pair


class Shoppers:
    """Clicks of many users, a few hundred a second, until stopped."""

    def __init__(self, sender: Sender, stock: list[Item], users: str, seed: int) -> None:
        self._sender, self._stock, self._users = sender, stock, users
        self._chance = random.Random(seed)
        self._stop = threading.Event()
        self.sent: dict[str, int] = {}

    def run(self) -> None:
        while not self._stop.wait(0.1):
            for _ in range(EVENTS_PER_S // 10):
                user_id = f"{self._users}{self._chance.randrange(200)}"
                self._sender.post("clicks", click(user_id, self._chance.choice(self._stock).item_id))
                self.sent[user_id] = self.sent.get(user_id, 0) + 1
        self._sender.flush()

    def stop(self) -> None:
        self._stop.set()


class Watcher:
    """All lists of some users that can be read while it runs, by list_id."""

    def __init__(self, storefront: Storefront, users: str) -> None:
        self._storefront, self._users = storefront, users
        self._stop = threading.Event()
        self.lists: dict[str, Any] = {}

    def run(self) -> None:
        while not self._stop.wait(0.3):
            self.look()

    def look(self) -> None:
        rows = self._storefront.rows("SELECT user_id, list_id, items, model_version FROM {keyspace}.recommendations")
        self.lists.update({row.list_id: row for row in rows if row.user_id.startswith(self._users)})

    def stop(self) -> None:
        self._stop.set()


def test_ten_swaps_under_load_lose_nothing_and_mix_nothing(
    alone: Shop,
    sender: Sender,
    storefront: Storefront,
    stock: list[Item],
    tail: OpenTail,
) -> None:
    users = user("swap-")
    scores, notices = tail(SCORES), tail("recommendations")
    shoppers, watcher = Shoppers(sender, stock, users, 1), Watcher(storefront, users)
    before, restarts = alone.workers.outcomes(), alone.workers.restarts
    versions = [alone.first.name]

    with ThreadPoolExecutor(2) as threads:
        running = [threads.submit(shoppers.run), threads.submit(watcher.run)]
        try:
            wait_until(lambda: len(watcher.lists) > 100, 60, "the first lists")
            for number in range(SWAPS):
                bundle = alone.publish(scaled(FACTORS[number % len(FACTORS)]), note=f"variant {number}")
                alone.release(bundle)
                alone.wait_served(bundle)
                versions.append(bundle.name)
                seen = len(watcher.lists)
                wait_until(lambda seen=seen: len(watcher.lists) > seen + 50, 60, "lists after a swap")
        finally:
            shoppers.stop()
            watcher.stop()
    for each in running:
        each.result()
    alone.workers.wait_drained()
    watcher.look()

    outcomes = alone.workers.outcomes() - before
    assert outcomes == {"applied": sum(shoppers.sent.values())}
    assert alone.workers.restarts == restarts
    states = stored_states(storefront, users)
    assert {user_id: events_in(state) for user_id, state in states.items()} == shoppers.sent

    assert {row.model_version for row in watcher.lists.values()} == set(versions)
    tops = [row.items[0].score for row in watcher.lists.values()]
    assert min(tops) > 0
    assert max(tops) < 100 * min(tops)
    made = [each for each in scores.all_of(lambda score: score["user_id"].startswith(users))]
    assert {score["model_version"] for score in made} == set(versions)
    assert len({score["score_id"] for score in made}) == len(made)
    list_ids = [each["list_id"] for each in notices.all_of(lambda notice: notice["user_id"].startswith(users))]
    assert len(set(list_ids)) == len(list_ids) == len(made)
    assert watcher.lists.keys() <= set(list_ids)

    gap_ms, swap_s = longest_gap_ms(alone.settings, users), alone.workers.longest_in("lastclick_swap_seconds")
    log.info("longest time without a score %d ms; no swap held batches up for more than %g s", gap_ms, swap_s)


def longest_gap_ms(settings: Settings, users: str) -> int:
    """Longest time that the only worker sent no score of these users, by its own clock, ms."""
    consumer = KafkaConsumer(bootstrap_servers=settings.kafka, enable_auto_commit=False)
    try:
        partitions = [TopicPartition(SCORES, number) for number in range(settings.partitions)]
        consumer.assign(partitions)
        consumer.seek_to_beginning()
        ends = consumer.end_offsets(partitions)
        times = []
        while any(consumer.position(partition) < end for partition, end in ends.items()):
            for records in consumer.poll(timeout_ms=100).values():
                times.extend(each.timestamp for each in records if (each.key or b"").startswith(users.encode()))
    finally:
        consumer.close()
    times.sort()
    return max(later - earlier for earlier, later in pairwise(times))


@pytest.mark.parametrize("damage", ["flipped byte", "cut short", "another model's", "no bundle", "no release"])
def test_bad_bundle_released_by_hand_is_refused_and_the_former_serves_on(
    shop: Shop, sender: Sender, storefront: Storefront, stock: list[Item], damage: str
) -> None:
    good = shop.publish(scaled(1.0), note=f"before {damage}")
    shop.release(good)
    shop.wait_served(good)
    name = f"bad-{damage.replace(' ', '-')}"
    release: Document | bytes
    if damage in ("flipped byte", "cut short"):
        bad = publish_damaged(good, shop.settings.models, name, flip if damage == "flipped byte" else cut)
        release, why = released_by_hand(bad), f"sha256 of {GRAPH}"
    elif damage == "another model's":
        release, why = released_by_hand(latest_bundle(shop.settings.models, "sentiment")), "name and version"
    elif damage == "no bundle":
        release, why = released_by_hand(good) | {"location": f"recommender/{name}"}, "cannot read its manifest"
    else:
        release, why = b'{"version": 7}', "release of 'recommender'"
    before = shop.workers.counters()["lastclick_releases_total", "recommender", "refused"]

    value = release if isinstance(release, bytes) else json.dumps(release).encode()
    sender.send_bytes(RELEASES, b"recommender", value)
    shop.wait_refused("recommender", why)

    assert {worker.models["recommender"] for worker in shop.workers.ready()} == {good.name}
    assert shop.workers.counters()["lastclick_releases_total", "recommender", "refused"] == before + 2
    row = storefront.row_caused_by(sender.send("clicks", click(user(name), stock[3].item_id)))
    assert row.model_version == good.name


def flip(folder: Path) -> None:
    content = bytearray((folder / GRAPH).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / GRAPH).write_bytes(content)


def cut(folder: Path) -> None:
    content = (folder / GRAPH).read_bytes()
    (folder / GRAPH).write_bytes(content[: len(content) // 2])


def released_by_hand(bundle: Path) -> Document:
    """The contract's JSON, as somebody would write it."""
    pointer = point_to(bundle)
    return {
        "version": pointer.version,
        "location": pointer.location,
        "sha256": pointer.sha256,
        "metrics": {},
        "released_at_ms": 1,
        "by": "hand",
    }


def test_model_whose_scores_are_no_numbers_goes_back_by_itself(
    shop: Shop, sender: Sender, storefront: Storefront, stock: list[Item], tail: OpenTail
) -> None:
    good = shop.publish(scaled(1.0), note="before the one without numbers")
    shop.release(good)
    shop.wait_served(good)
    scores = tail(SCORES)
    bad = shop.publish(not_finite, note="without numbers")
    users = user("nan-")
    shoppers = Shoppers(sender, stock, users, 2)

    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(shoppers.run)
        try:
            shop.release(bad)
            wait_until(lambda: went_back(shop, good), 120, "a release of the former model")
        finally:
            shoppers.stop()
    running.result()
    shop.workers.wait_drained()

    shop.wait_served(good)
    assert shop.workers.counters()["lastclick_releases_total", "recommender", "went_back"] >= 1
    states = stored_states(storefront, users)
    assert {user_id: events_in(state) for user_id, state in states.items()} == shoppers.sent
    made = scores.all_of(lambda score: score["user_id"].startswith(users))
    assert {score["model_version"] for score in made} == {good.name}
    assert all(0 <= score["value"] <= 1 for score in made)


def went_back(shop: Shop, good: Path) -> bool:
    released = shop.released("recommender")
    assert released is not None
    return released.version == good.name and "not finite" in released.reason


def test_sentiment_model_is_released_the_same_way(
    shop: Shop, sender: Sender, stock: list[Item], tail: OpenTail
) -> None:
    scores = tail(SCORES)
    first = latest_bundle(shop.settings.models, "sentiment")
    bundle = publish_variant(first, shop.settings.models, lambda folder: None, note="the same once more")
    shop.release(bundle)
    shop.wait_served(bundle)

    sent = sender.send("reviews", review(user("mood"), stock[0].item_id, "lovely, fits well"))
    found = scores.first(lambda each: each["caused_by"] == sent["event_id"] and each["kind"] == "sentiment")
    assert found["model_version"] == bundle.name


def test_model_that_passes_the_gates_is_served_and_rolled_back(
    shop: Shop, sender: Sender, storefront: Storefront, stock: list[Item]
) -> None:
    former, better = described(shop), described(shop)
    shop.release(former)
    shop.wait_served(former)

    done = releasing.release(shop.settings, "recommender", better.name, [], lambda message: None)

    assert done.gates is not None
    assert (done.gates.champion, done.gates.refused) == (former.name, [])
    assert done.release.metrics["gate_ndcg_10"] == done.release.metrics["gate_champion_ndcg_10"] > 0
    assert {worker.models["recommender"] for worker in done.workers} == {better.name}
    row = storefront.row_caused_by(sender.send("clicks", click(user("gated"), stock[5].item_id)))
    assert row.model_version == better.name

    back = releasing.roll_back(shop.settings, "recommender", None, lambda message: None)

    assert back.release.version == former.name
    assert back.release.reason == f"rolled back from {better.name}"
    assert shop.serves(former)


def test_model_that_a_gate_refuses_is_not_released(shop: Shop) -> None:
    former = described(shop)
    shop.release(former)
    shop.wait_served(former)
    bare = publish_variant(former, shop.settings.models, lambda folder: (folder / MODEL_CARD).unlink())

    with pytest.raises(releasing.ReleaseRefused, match=r"gate card: saw no MODEL_CARD\.md, needed MODEL_CARD\.md with"):
        releasing.release(shop.settings, "recommender", bare.name, [], lambda message: None)

    released = shop.released("recommender")
    assert released is not None
    assert released.version == former.name
    assert shop.serves(former)


def described(shop: Shop) -> Path:
    """A variant with all that the gates want to know, of which the shop's last four days are held out."""

    def change(folder: Path) -> None:
        ModelCard("A variant", "The simulated shop.", "Eight days.", "None.", ("It is a copy.",)).write(folder, {})

    origin = TrainedOn(
        source="shop", options={**TRAINED_ON, "days": 12}, from_ms=START_MS, until_ms=START_MS + 8 * DAY_MS
    )
    return shop.publish(change, trained_on=origin, metrics={PARITY: 1e-6})


def test_worker_that_starts_again_serves_what_is_released_and_not_what_is_newest(shop: Shop) -> None:
    older = shop.publish(scaled(1.0), note="released")
    newest = shop.publish(scaled(1.0), note="published after it")
    assert latest_bundle(shop.settings.models, "recommender") == newest
    shop.release(older)
    shop.wait_served(older)

    killed = shop.workers.ready()[0]
    psutil.Process(killed.pid).kill()
    wait_until(lambda: not psutil.pid_exists(killed.pid), 30, "the end of a killed worker")

    shop.wait_served(older)
