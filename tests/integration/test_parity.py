"""`lastclick parity` on the running flow: equal after events, and a feature that was tampered with is named."""

from __future__ import annotations

import random
import time
from pathlib import Path

import numpy as np
import pytest
from prometheus_client.parser import text_string_to_metric_families

from feature_repo.events import Item
from feature_repo.features import FEATURES, NUMERIC_NAMES, TEXT_NAMES, FeatureRow
from feature_repo.online import FeatureValues, OnlineFeatures, UserFeatureRow, open_feature_store
from streams.parity import parity, write_metrics
from streams.runtime import online_config
from streams.settings import Settings
from tests.integration.clients import Sender, Storefront, cart, click, impression, review, user
from tests.integration.running import Workers

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

SHOPPERS = 30
EVERYONE = 100_000


@pytest.fixture
def active(workers: Workers, sender: Sender, stock: list[Item]) -> list[str]:
    """Shoppers who did this and that, some of it twice, and were shown lists after their last click."""
    chance = random.Random(11)
    shoppers = [user(f"parity-{number}") for number in range(SHOPPERS)]
    for shopper in shoppers:
        for _ in range(chance.randint(1, 12)):
            item_id = chance.choice(stock).item_id
            topic, event = chance.choice(
                [
                    ("clicks", click(shopper, item_id)),
                    ("carts", cart(shopper, item_id, chance.choice(["add", "purchase"]))),
                    ("reviews", review(shopper, item_id, chance.choice(["lovely, fits well", "it broke", "fine"]))),
                    ("impressions", impression(shopper, [item_id])),
                ]
            )
            for _ in range(chance.choice([1, 1, 2])):
                sender.post(topic, event)
        sender.post("clicks", click(shopper, stock[0].item_id))
        sender.post("impressions", impression(shopper, [stock[1].item_id]))
    sender.flush()
    workers.wait_drained()
    return shoppers


def test_every_feature_of_the_flow_equals_a_recompute(active: list[str], settings: Settings, tmp_path: Path) -> None:
    report = parity(settings, EVERYONE, seed=1)

    assert report.differing == []
    assert report.users["compared"] >= SHOPPERS
    assert report.users.get("moving", 0) == 0
    compared = {each.feature: each.compared for each in report.features}
    assert list(compared) == [feature.name for feature in FEATURES]
    assert compared["clicks_24h"] >= SHOPPERS
    assert compared["mood_mean"] >= SHOPPERS
    write_metrics(report, tmp_path / "parity.prom")
    assert differing_in(tmp_path / "parity.prom")["clicks_24h"] == 0


def test_sample_is_repeatable_and_bounded(active: list[str], settings: Settings) -> None:
    first, again = (parity(settings, 5, seed=3) for _ in range(2))

    assert sum(first.users.values()) == sum(again.users.values()) == 5
    assert first.events == again.events


def test_users_that_move_while_they_are_compared_are_no_difference(
    active: list[str], settings: Settings, sender: Sender, stock: list[Item]
) -> None:
    def keep_moving(done: int, total: int) -> None:
        for shopper in active:
            sender.post("clicks", click(shopper, stock[done % 5].item_id))

    report = parity(settings, EVERYONE, 1, keep_moving)

    assert report.differing == []


def test_feature_that_was_tampered_with_is_named(
    active: list[str], workers: Workers, settings: Settings, storefront: Storefront, tmp_path: Path
) -> None:
    workers.wait_drained()
    victim = active[3]
    with open_feature_store(online_config(settings)) as online:
        served = online.read_user(victim)
        write(online, storefront, served | {"clicks_24h": float(str(served["clicks_24h"])) + 7}, victim, 1)

        report = parity(settings, EVERYONE, seed=1)

        assert report.differing == ["clicks_24h"]
        (clicks,) = (each for each in report.features if each.feature == "clicks_24h")
        assert (clicks.differing, clicks.largest_difference, clicks.example) == (1, 7, victim)
        write_metrics(report, tmp_path / "parity.prom")
        assert differing_in(tmp_path / "parity.prom")["clicks_24h"] == 1
        write(online, storefront, served, victim, 2)
    assert parity(settings, EVERYONE, seed=1).differing == []


def write(online: OnlineFeatures, storefront: Storefront, values: FeatureValues, user_id: str, later_us: int) -> None:
    """Write features of a user as a worker would, a little later by its stamps."""
    (row,) = storefront.rows(
        "SELECT WRITETIME(state) AS write_us FROM {keyspace}.user_state WHERE user_id = %s", (user_id,)
    )
    numbers = np.array([values[name] for name in NUMERIC_NAMES], np.float32)
    features = FeatureRow(numbers, {name: str(values[name]) for name in TEXT_NAMES}, NUMERIC_NAMES)
    online.write_users([UserFeatureRow(user_id, features, time.time_ns() // 1_000_000, row.write_us + later_us)])


def differing_in(path: Path) -> dict[str, float]:
    """Gauge of differing users by feature, as Prometheus reads the file."""
    (family,) = (
        each for each in text_string_to_metric_families(path.read_text()) if each.name == "lastclick_parity_differing"
    )
    return {sample.labels["feature"]: sample.value for sample in family.samples}
