"""Training examples from an archive: the same values as Feast's, and nothing from after their moment."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from feature_repo.archive.feature_values import write_feature_values
from feature_repo.events import Cart, Click, Item
from feature_repo.features import NUMERIC_NAMES
from feature_repo.online import OnlineConfig, open_feature_store
from feature_repo.sources import open_source
from tests.feature_repo.archives import NOON_MS, Broker
from tests.planted import PlantedSource
from training.dataset import Dataset, read_dataset

HOUR_MS = 3_600_000


def test_examples_have_the_values_that_feast_gives_at_their_instants(tmp_path: Path) -> None:
    broker = Broker()
    source = PlantedSource(users=12, visits=6)
    for item in source.items():
        broker.take(item)
    events = [event for _, event in source.events()]
    arrivals_ms = [event.occurred_at_ms + (30 * HOUR_MS if n % 9 == 4 else 1_000) for n, event in enumerate(events)]
    for at_ms, _, event in sorted(zip(arrivals_ms, range(len(events)), events, strict=True)):
        broker.take(event, at_ms=at_ms)
    archive = broker.archive(tmp_path / "archive")
    write_feature_values(archive)

    dataset = read_dataset(open_source("archive", archive), max_examples=10**6)

    examples = dataset.examples
    question = pd.DataFrame(
        {
            "user_id": [dataset.interactions.user_ids[user] for user in examples.user],
            "event_timestamp": [datetime.fromtimestamp(ms / 1000, UTC) for ms in examples.now_ms.tolist()],
            "place": range(len(examples.user)),
        }
    )
    with open_feature_store(OnlineConfig("sqlite", str(tmp_path / "online.db"), archive=archive)) as online:
        references = [f"user_features:{name}" for name in NUMERIC_NAMES]
        answer = online.store.get_historical_features(question, features=references).to_df().sort_values("place")
    assert len(answer) == len(examples.user) > 100
    np.testing.assert_array_equal(answer[list(NUMERIC_NAMES)].to_numpy(np.float32), examples.features)


def archived_shop(folder: Path, planted: Cart | None = None, arrives_before: int = 6) -> Dataset:
    """Ten clicks of a shopper, an hour apart, and a purchase among them if one is planted."""
    broker = Broker()
    broker.take(Item("mug", "Mug", True, NOON_MS - 1, price=4.5))
    broker.take(Item("vase", "Vase", True, NOON_MS - 1, price=40.0))
    for number in range(10):
        if planted is not None and number == arrives_before:
            broker.take(planted, at_ms=max(planted.occurred_at_ms, NOON_MS + (number - 1) * HOUR_MS + 1_001))
        broker.take(Click(f"e{number}", "ann", "mug", NOON_MS + number * HOUR_MS))
    return read_dataset(open_source("archive", broker.archive(folder)), max_examples=10**6)


def test_no_example_sees_a_purchase_that_comes_after_it(tmp_path: Path) -> None:
    bought_ms = NOON_MS + 5 * HOUR_MS + 60_000
    purchase = Cart("planted", "ann", "vase", "purchase", 2, 40.0, bought_ms)

    without, with_it = archived_shop(tmp_path / "plain"), archived_shop(tmp_path / "planted", purchase)

    vase = with_it.table.row("vase")
    examples = with_it.examples
    seen_before = {ms: row for ms, row in zip(without.examples.now_ms.tolist(), without.examples.features, strict=True)}
    assert sorted(examples.now_ms.tolist()) == sorted([*seen_before, bought_ms])
    for place, now_ms in enumerate(examples.now_ms.tolist()):
        history = with_it.interactions.rows[with_it.interactions.starts[examples.user[place]] : examples.end[place]]
        assert (vase in history.tolist()) == (now_ms >= bought_ms)
        if now_ms != bought_ms:
            equal = np.array_equal(examples.features[place], seen_before[now_ms])
            assert equal == (now_ms < bought_ms)
        assert examples.bought[place] == (now_ms < bought_ms)


def test_purchase_that_arrives_late_is_in_the_history_from_its_own_time_on(tmp_path: Path) -> None:
    bought_ms = NOON_MS + 2 * HOUR_MS + 60_000
    purchase = Cart("planted", "ann", "vase", "purchase", 2, 40.0, bought_ms)

    dataset = archived_shop(tmp_path, purchase, arrives_before=8)

    examples, interactions = dataset.examples, dataset.interactions
    assert interactions.ms.tolist() == sorted(interactions.ms.tolist())
    for place, now_ms in enumerate(examples.now_ms.tolist()):
        history_ms = interactions.ms[: examples.end[place]]
        assert history_ms[-1] == now_ms
        assert (bought_ms in history_ms.tolist()) == (now_ms >= bought_ms)
        # What a shopper's features say of it is known when it has arrived, after the click of the seventh hour.
        bought = examples.features[place][NUMERIC_NAMES.index("purchases_90d")]
        assert bought == (now_ms >= NOON_MS + 8 * HOUR_MS)
    assert (dataset.first_ms, dataset.last_ms) == (NOON_MS, NOON_MS + 9 * HOUR_MS)


def test_records_that_are_no_events_are_told(tmp_path: Path) -> None:
    broker = Broker()
    broker.take(Click("e1", "ann", "mug", NOON_MS))
    for value in (b"{", None, b"\xff"):
        broker.append("clicks", b"ann", value, NOON_MS)
    told: list[str] = []

    read_dataset(open_source("archive", broker.archive(tmp_path)), progress=told.append)

    assert told == ["left out as no events: clicks: value 3"]
