"""From a click on Kafka to a fresh list in Cassandra: real servers and workers, clients that know only the contract."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from feature_repo.events import Item
from feature_repo.features import NUMERIC_NAMES
from feature_repo.online import OnlineFeatures, open_feature_store
from feature_repo.sources.online_retail import OnlineRetail
from scorer.sessions import gpu_count
from streams.runtime import online_config
from streams.settings import Settings
from streams.supervisor import worker_environment
from tests.integration.clients import (
    RUN,
    Document,
    Sender,
    Storefront,
    Tail,
    cart,
    click,
    impression,
    new_item_id,
    now_ms,
    review,
    user,
)
from tests.integration.running import Fleet, Workers
from tests.waiting import wait_until

pytestmark = pytest.mark.integration

OpenTail = Callable[[str], Tail]
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def online(settings: Settings) -> Iterator[OnlineFeatures]:
    with open_feature_store(online_config(settings)) as online:
        yield online


def document(item: Item, **changes: Any) -> Document:
    """The item as the contract's JSON."""
    return {
        "item_id": item.item_id,
        "title": item.title,
        "description": item.description,
        "category": item.category,
        "brand": item.brand,
        "price": item.price,
        "in_stock": item.in_stock,
        "published_at_ms": item.published_at_ms,
    } | changes


def test_click_changes_its_users_row(
    workers: Workers, sender: Sender, storefront: Storefront, stock: list[Item]
) -> None:
    before_ms = now_ms()

    first = sender.send("clicks", click(user("click"), stock[0].item_id))
    row = storefront.row_caused_by(first)
    second = sender.send("clicks", click(user("click"), stock[100].item_id))
    changed = storefront.row_caused_by(second)

    assert row.event_at_ms == first["occurred_at_ms"]
    assert changed.event_at_ms == second["occurred_at_ms"]
    assert before_ms <= row.written_at_ms <= changed.written_at_ms <= now_ms()
    assert changed.list_id != row.list_id
    assert row.experiment_arm == "default"
    known = {item.item_id for item in stock}
    for each in (row, changed):
        item_ids = [item.item_id for item in each.items]
        assert len(set(item_ids)) == 10
        assert set(item_ids) <= known
        scores = [item.score for item in each.items]
        assert scores == sorted(scores, reverse=True)
    assert all(item.reason == f"because you looked at {stock[0].title}" for item in row.items)
    assert {item.item_id for item in changed.items} != {item.item_id for item in row.items}


def test_purchase_takes_the_item_out_of_the_list(
    workers: Workers, sender: Sender, storefront: Storefront, stock: list[Item]
) -> None:
    row = storefront.row_caused_by(sender.send("clicks", click(user("purchase"), stock[30].item_id)))
    wanted = row.items[0].item_id

    bought = storefront.row_caused_by(sender.send("carts", cart(user("purchase"), wanted, "purchase")))
    looked = storefront.row_caused_by(sender.send("clicks", click(user("purchase"), stock[30].item_id)))
    returned = cart(user("purchase"), wanted, "purchase", quantity=-1)
    back = storefront.row_caused_by(sender.send("carts", returned))

    assert wanted not in [item.item_id for item in bought.items]
    assert wanted not in [item.item_id for item in looked.items]
    assert len(bought.items) == 10
    assert wanted in [item.item_id for item in back.items]


def test_item_in_the_cart_is_not_recommended(
    workers: Workers, sender: Sender, storefront: Storefront, stock: list[Item]
) -> None:
    row = storefront.row_caused_by(sender.send("clicks", click(user("cart"), stock[50].item_id)))
    wanted = row.items[0].item_id

    added = storefront.row_caused_by(sender.send("carts", cart(user("cart"), wanted, "add")))
    removed = storefront.row_caused_by(sender.send("carts", cart(user("cart"), wanted, "remove")))

    assert wanted not in [item.item_id for item in added.items]
    assert wanted in [item.item_id for item in removed.items]


def test_new_item_is_recommended_within_five_seconds_and_leaves_when_sold_out(
    workers: Workers, sender: Sender, storefront: Storefront, stock: list[Item]
) -> None:
    row = storefront.row_caused_by(sender.send("clicks", click(user("new"), stock[70].item_id)))
    favourite = next(item for item in stock if item.item_id == row.items[0].item_id)

    twin = new_item_id()
    # Of the same text as the user's first choice, and known to no model by its id: it deserves the place beside it.
    sender.send_item(twin, document(favourite, item_id=twin))
    published = time.monotonic()
    recommended = _list_once(
        user("new"), stock[70], sender, storefront, lambda items: twin in items, 5, "a list with the new item"
    )
    seconds = time.monotonic() - published
    assert seconds < 5
    assert favourite.item_id in recommended

    sender.send_item(twin, document(favourite, item_id=twin, in_stock=False))
    without = _list_once(
        user("new"), stock[70], sender, storefront, lambda items: twin not in items, 10, "a list without it"
    )
    assert favourite.item_id in without


def test_removed_item_is_no_longer_recommended(
    workers: Workers, sender: Sender, storefront: Storefront, stock: list[Item], online: OnlineFeatures
) -> None:
    row = storefront.row_caused_by(sender.send("clicks", click(user("removed"), stock[90].item_id)))
    favourite = next(item for item in stock if item.item_id == row.items[0].item_id)
    twin = new_item_id()
    sender.send_item(twin, document(favourite, item_id=twin))
    _list_once(user("removed"), stock[90], sender, storefront, lambda items: twin in items, 10, "a list with the item")

    sender.send_item(twin, None)
    without = _list_once(
        user("removed"), stock[90], sender, storefront, lambda items: twin not in items, 10, "a list without it"
    )

    assert favourite.item_id in without


def _list_once(
    user_id: str,
    item: Item,
    sender: Sender,
    storefront: Storefront,
    wanted: Callable[[list[str]], bool],
    seconds: float,
    what: str,
) -> list[str]:
    """Click on the same item again and again until the list is as wanted, and return it."""

    def clicked() -> list[str]:
        row = storefront.row_caused_by(sender.send("clicks", click(user_id, item.item_id)))
        items = [each.item_id for each in row.items]
        return items if wanted(items) else []

    return wait_until(clicked, seconds, what)


def test_no_category_fills_more_than_its_share(
    workers: Workers, sender: Sender, storefront: Storefront, stock: list[Item]
) -> None:
    row = storefront.row_caused_by(sender.send("clicks", click(user("diverse"), stock[110].item_id)))
    favourite = next(item for item in stock if item.item_id == row.items[0].item_id)
    # Eight more like the first choice: by their scores alone, they would fill the places after it.
    twins = [new_item_id() for _ in range(8)]
    for item_id in twins:
        sender.send_item(item_id, document(favourite, item_id=item_id))
    workers.wait_drained()

    items = _list_once(
        user("diverse"),
        stock[110],
        sender,
        storefront,
        lambda items: len(set(items) & set(twins)) >= 3,
        10,
        "a list with some of the twins",
    )

    category = {item.item_id: item.category for item in stock} | dict.fromkeys(twins, favourite.category)
    filled = Counter(category[item_id] for item_id in items)
    assert filled[favourite.category] == 4, filled
    assert len(items) == 10
    for item_id in twins:
        sender.send_item(item_id, None)


def test_user_of_unknown_items_gets_what_is_popular(
    workers: Workers, sender: Sender, storefront: Storefront, stock: list[Item]
) -> None:
    for shopper in range(60):
        sender.post("carts", cart(user(f"crowd-{shopper}"), stock[7].item_id, "purchase"))
    sender.flush()

    def listed() -> list[str]:
        row = storefront.row_caused_by(sender.send("clicks", click(user("unknown"), "sold elsewhere")))
        assert {item.reason for item in row.items} <= {"popular now", "new in the shop", "one of the newest"}
        items = [item.item_id for item in row.items]
        return items if items[0] == stock[7].item_id and items == storefront.popular() else []

    wait_until(listed, 20, "the popular list, led by what the crowd bought")


def test_review_is_scored_once_and_felt_in_the_users_features(
    workers: Workers, sender: Sender, storefront: Storefront, stock: list[Item], online: OnlineFeatures, tail: OpenTail
) -> None:
    scores = tail("scores")
    good = review(user("review"), stock[1].item_id, "I love it, it is perfect and works great.", stars=5)
    bad = review(
        user("review"),
        stock[2].item_id,
        "Terrible quality, it broke after a day. I want my money back.",
        occurred_at_ms=good["occurred_at_ms"] + 1,
    )

    for event in (good, good, bad):
        sender.send("reviews", event)
    storefront.row_caused_by(bad)
    workers.wait_drained()

    praise = scores.all_of(lambda score: score["score_id"] == f"sentiment:{good['event_id']}")
    blame = scores.all_of(lambda score: score["score_id"] == f"sentiment:{bad['event_id']}")
    assert len({(score["value"], score["label"]) for score in praise}) == 1
    assert praise[0]["value"] > 0.3
    assert praise[0]["label"] == "positive"
    assert blame[0]["value"] < -0.3
    assert blame[0]["label"] == "negative"
    assert praise[0]["kind"] == "sentiment"
    assert praise[0]["caused_by"] == good["event_id"]
    assert praise[0]["key"] == user("review").encode()
    assert praise[0]["item_id"] == stock[1].item_id
    features = online.read_user(user("review"))
    assert features["reviews_total"] == 2
    assert features["mood_last"] == pytest.approx(blame[0]["value"], abs=6e-4)
    assert features["mood_mean"] == pytest.approx((praise[0]["value"] + blame[0]["value"]) / 2, abs=6e-4)


def test_propensity_is_published_with_its_features_and_model(
    workers: Workers, sender: Sender, storefront: Storefront, stock: list[Item], online: OnlineFeatures, tail: OpenTail
) -> None:
    scores, notices = tail("scores"), tail("recommendations")

    event = sender.send("clicks", click(user("score"), stock[3].item_id))
    score = scores.first(lambda document: document["caused_by"] == event["event_id"])
    notice = notices.first(lambda document: document["caused_by"] == event["event_id"])
    row = storefront.row_caused_by(event)
    workers.wait_drained()

    assert score["kind"] == "propensity"
    assert score["score_id"] == f"propensity:{event['event_id']}"
    assert 0 < score["value"] < 1
    assert score["model_version"] == row.model_version == workers.ready()[0].models["recommender"]
    assert list(score["features"]) == list(NUMERIC_NAMES)
    served = online.read_user(user("score"))
    assert score["features"] == {name: served[name] for name in NUMERIC_NAMES}
    assert served["clicks_24h"] == 1
    assert served["top_category"] == stock[3].category
    assert notice == {
        "key": user("score").encode(),
        "user_id": user("score"),
        "scene": "home",
        "list_id": row.list_id,
        "caused_by": event["event_id"],
    }


def test_trigger_fires_once_until_the_propensity_falls(
    workers: Workers, sender: Sender, storefront: Storefront, stock: list[Item], tail: OpenTail
) -> None:
    triggers, start_ms = tail("triggers"), now_ms() - 10 * DAY_MS

    # Two days apart, so that the cool-down of a day has passed: that it isn't armed keeps it from firing again.
    for number in range(3):
        event = click(user("trigger"), stock[number].item_id, occurred_at_ms=start_ms + 2 * number * DAY_MS)
        storefront.row_caused_by(sender.send("clicks", event))
    workers.wait_drained()

    fired = triggers.all_of(lambda trigger: trigger["user_id"] == user("trigger"))
    assert len(fired) == 1
    assert fired[0]["key"] == user("trigger").encode()
    assert fired[0]["rule"] == "propensity"
    assert fired[0]["arm"] == "sent"
    assert fired[0]["occurred_at_ms"] == start_ms
    assert fired[0]["score"] >= 0.001


def test_impression_makes_no_new_list(
    workers: Workers, sender: Sender, storefront: Storefront, stock: list[Item], online: OnlineFeatures
) -> None:
    row = storefront.row_caused_by(sender.send("clicks", click(user("shown"), stock[4].item_id)))

    sender.send("impressions", impression(user("shown"), [item.item_id for item in row.items]))
    workers.wait_drained()
    unchanged = storefront.row_of(user("shown"))
    storefront.row_caused_by(sender.send("clicks", click(user("shown"), stock[4].item_id)))
    workers.wait_drained()

    assert unchanged == row
    assert online.read_user(user("shown"))["impressions_24h"] == 1


def test_same_event_sent_twice_counts_once(
    workers: Workers, sender: Sender, storefront: Storefront, stock: list[Item], online: OnlineFeatures
) -> None:
    event = click(user("twice"), stock[5].item_id)

    for _ in range(3):
        sender.send("clicks", event)
    storefront.row_caused_by(sender.send("clicks", click(user("twice"), stock[6].item_id)))
    workers.wait_drained()

    assert online.read_user(user("twice"))["clicks_24h"] == 2


def test_item_features_follow_the_events(
    workers: Workers, sender: Sender, storefront: Storefront, stock: list[Item], online: OnlineFeatures
) -> None:
    item = stock[150]
    before = wait_until(lambda: online.read_item(item.item_id)["title"] and online.read_item(item.item_id), 20, "item")

    # Users of several partitions, so that the counts of both workers come together.
    for shopper in range(8):
        sender.send("clicks", click(user(f"item-{shopper}"), item.item_id))

    def counted() -> dict[str, Any] | None:
        features = online.read_item(item.item_id)
        return features if features["clicks_24h"] == (before["clicks_24h"] or 0) + 8 else None

    features = wait_until(counted, 30, f"eight more clicks of {item.item_id}")
    assert features["title"] == item.title
    assert features["category"] == item.category
    assert features["price"] == pytest.approx(item.price)
    assert features["popularity"] >= before["popularity"] + 7


def test_item_that_changes_between_two_events_is_served_as_it_is_now(
    workers: Workers, sender: Sender, stock: list[Item], online: OnlineFeatures
) -> None:
    item_id = new_item_id()

    # Up and down: whichever value compares larger, one of them must replace the other.
    for price in (5.0, 3.0, 7.0, 4.0):
        sender.send_item(item_id, document(stock[0], item_id=item_id, price=price))
        wait_until(lambda price=price: online.read_item(item_id)["price"] == price, 20, f"a price of {price}")

    sender.send_item(item_id, None)


def test_two_workers_share_the_users(workers: Workers, sender: Sender, stock: list[Item]) -> None:
    before = _events_by_worker(workers)

    for shopper in range(60):
        sender.post("clicks", click(user(f"shared-{shopper}"), stock[shopper].item_id))
    sender.flush()
    workers.wait_drained()

    taken = _events_by_worker(workers) - before
    assert set(taken) == {0, 1}
    assert sum(taken.values()) == 60


def _events_by_worker(workers: Workers) -> Counter[int]:
    return Counter(
        {
            instance: sum(value for (name, *_), value in counters.items() if name == "lastclick_events_total")
            for instance, counters in workers.counters_by_worker().items()
        }
    )


def lastclick(settings: Settings, *arguments: str, seconds: float = 120) -> Any:
    """Run the command line, and return the one JSON document that it must have printed."""
    done = subprocess.run(
        [_command(), *arguments], env=_environment(settings), capture_output=True, text=True, timeout=seconds
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _command() -> str:
    return str(Path(sys.executable).with_name("lastclick"))


def _environment(settings: Settings) -> dict[str, str]:
    return os.environ | worker_environment(settings)


def test_recommend_prints_the_list_with_titles_and_cause(
    workers: Workers, sender: Sender, storefront: Storefront, stock: list[Item], settings: Settings
) -> None:
    event = sender.send("clicks", click(user("cli"), stock[8].item_id))
    row = storefront.row_caused_by(event)
    titles = {item.item_id: item.title for item in stock}

    answer = lastclick(settings, "recommend", user("cli"), "--json")

    assert answer["caused_by"] == event["event_id"]
    assert answer["list_id"] == row.list_id
    assert [place["item_id"] for place in answer["items"]] == [item.item_id for item in row.items]
    assert [place["title"] for place in answer["items"]] == [titles[item.item_id] for item in row.items]
    assert {place["reason"] for place in answer["items"]} == {f"because you looked at {stock[8].title}"}


def test_recommend_falls_back_to_what_is_popular(workers: Workers, storefront: Storefront, settings: Settings) -> None:
    def answered_between_two_writes() -> Any:
        """The list is written every few seconds, as long as counts change."""
        before = storefront.popular()
        answer = lastclick(settings, "recommend", "nobody ever", "--json")
        return (answer, before) if before and storefront.popular() == before else None

    answer, popular = wait_until(answered_between_two_writes, 60, "an answer while the popular list stays as it is")

    assert answer["caused_by"] is None
    assert answer["scene"] == "popular"
    assert [place["item_id"] for place in answer["items"]] == popular


def test_features_prints_what_feast_serves(
    workers: Workers,
    sender: Sender,
    stock: list[Item],
    settings: Settings,
    storefront: Storefront,
    online: OnlineFeatures,
) -> None:
    storefront.row_caused_by(sender.send("clicks", click(user("cli-features"), stock[8].item_id)))
    workers.wait_drained()

    answer = lastclick(settings, "features", user("cli-features"), "--json")

    assert answer == {"user_id": user("cli-features"), "features": online.read_user(user("cli-features"))}
    assert answer["features"]["clicks_24h"] == 1


def test_features_of_a_stranger_fail_with_the_reason(workers: Workers, settings: Settings) -> None:
    done = subprocess.run(
        [_command(), "features", "nobody ever", "--json"], env=_environment(settings), capture_output=True, text=True
    )

    assert done.returncode == 1
    assert done.stdout == ""
    assert "'nobody ever' has no features" in done.stderr
    assert "Traceback" not in done.stderr


def test_replay_sends_a_log_once_and_says_so(
    workers: Workers, sender: Sender, settings: Settings, storefront: Storefront, tmp_path: Path
) -> None:
    log = tmp_path / "log.csv"
    first_customer = 10**9 + int(RUN, 16)
    customers = [str(first_customer + number) for number in range(3)]
    rows = [f"1000{n},{n}0001,RED MUG,{n + 1},2010-12-01 08:2{n}:00,2.5,{each},UK" for n, each in enumerate(customers)]
    header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
    log.write_text("\n".join([header, *rows, "10009,90001,BLUE MUG,1,2010-12-01 08:29:00,2.5,,UK"]) + "\n")
    command = [_command(), "replay", "online-retail", str(log), "--json"]

    runs = [subprocess.run(command, env=_environment(settings), capture_output=True, text=True) for _ in range(2)]

    assert [run.returncode for run in runs] == [0, 0], runs[0].stderr + runs[1].stderr
    # Nothing but the answer, and not a word of the libraries below.
    assert [run.stderr for run in runs] == ["", ""]
    first, second = (json.loads(run.stdout) for run in runs)
    assert (first["items"], first["events"], first["skipped_rows"]) == (4, 3, {"no customer": 1})
    assert (second["events"], second["skipped_before"]) == (0, 3)
    for customer in customers:
        wait_until(lambda customer=customer: storefront.row_of(customer), 20, f"a list of {customer}")
    for item in OnlineRetail(log).items():
        sender.send_item(item.item_id, None)


def test_status_names_servers_workers_and_models(workers: Workers, settings: Settings) -> None:
    answer = lastclick(settings, "status", "--json")

    assert answer["kafka"] == settings.kafka
    assert answer["cassandra"] == settings.cassandra
    assert [worker["pid"] for worker in answer["workers"]] == [worker.pid for worker in workers.ready()]
    current = {path.parent.name: path.read_text().strip() for path in (settings.models).glob("*/CURRENT")}
    assert answer["models"] == current


@pytest.mark.skipif(gpu_count() > 0, reason="there is a GPU here")
def test_gpu_that_is_demanded_and_absent_is_a_clear_error_at_the_start(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "models").symlink_to(settings.models.resolve())

    done = subprocess.run(
        [_command(), "worker"],
        env=_environment(settings) | {"LASTCLICK_HOME": str(tmp_path), "LASTCLICK_DEVICE": "cuda"},
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 1
    assert "device 'cuda' was demanded, but the CUDA driver shows 0 GPUs" in done.stderr
    assert "Traceback" not in done.stderr


def test_stopped_in_order_the_next_workers_go_on_where_it_ended(
    workers: Workers,
    fleet: Fleet,
    sender: Sender,
    stock: list[Item],
    settings: Settings,
    online: OnlineFeatures,
    storefront: Storefront,
) -> None:
    """SIGTERM to `lastclick worker` in the middle of the work: exit code 0, no process left, and no event lost."""
    users = [user(f"stop-{number}") for number in range(40)]
    fleet.stop()
    command = subprocess.Popen(
        [_command(), "worker", "--count", "2"],
        env=_environment(settings),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert command.stderr is not None
        assert "ready" in command.stderr.readline()
        started = psutil.Process(command.pid).children()
        # A spare may be among them already.
        assert len(started) in (2, 3)
        for number in range(50):
            for user_id in users:
                sender.post("clicks", click(user_id, stock[number].item_id))
        sender.flush()
        wait_until(lambda: storefront.row_of(users[0]), 60, "the first list of these users")
        command.send_signal(signal.SIGTERM)
        assert command.wait(60) == 0, command.stderr.read()
    finally:
        command.kill()
        command.communicate()
    assert not any(process.is_running() for process in started)
    assert not list(settings.run.glob("worker-*.json"))

    again = fleet.of(settings, 2)
    again.wait_drained()

    assert [values["clicks_24h"] for values in online.read_users(users)] == [50] * len(users)
