"""Lists of items on the real servers: how soon an event, a rule and a change of the catalogue are in them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from feature_repo.events import Item
from feature_repo.pair_state import decode_pair_state, weight_at
from streams.readback import newest_values
from streams.settings import Settings
from streams.supervisor import worker_environment
from tests.integration.clients import RUN, Sender, Storefront, cart, click, new_item_id, now_ms, user
from tests.integration.running import Workers
from tests.waiting import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

RULE_S = 5.0
EVENT_S = 60.0


def places(storefront: Storefront, scene: str, key: str = "") -> dict[str, str]:
    """Items of a list with their reasons, in order."""
    rows = storefront.rows("SELECT * FROM {keyspace}.item_lists WHERE scene = %s AND key = %s", (scene, key))
    return {item.item_id: item.reason for item in rows[0].items} if rows else {}


def put_rule(sender: Sender, rule_id: str, fields: dict[str, Any] | None) -> None:
    value = None if fields is None else json.dumps({"rule_id": rule_id, **fields}).encode()
    sender.send_bytes("rules", rule_id.encode(), value)


def test_event_is_in_the_lists_of_what_rises_and_is_popular_within_a_minute(
    workers: Workers, sender: Sender, storefront: Storefront, stock: list[Item]
) -> None:
    target = stock[31]
    wait_until(lambda: places(storefront, "new"), EVENT_S, "lists of the stock")

    for number in range(40):
        sender.send("clicks", click(user(f"rise-{number}"), target.item_id))

    for key in ("", str(target.category)):
        wait_until(
            lambda key=key: places(storefront, "trending", key).get(target.item_id) == "rising now",
            EVENT_S,
            f"{target.item_id} among what rises in {key or 'the shop'}",
        )
    reason = f"popular in {target.category}"
    wait_until(
        lambda: places(storefront, "popular", str(target.category)).get(target.item_id) == reason,
        EVENT_S,
        f"{target.item_id} among what is {reason}",
    )


def test_item_enters_and_leaves_the_lists_of_what_is_new_and_similar(
    workers: Workers, sender: Sender, storefront: Storefront, stock: list[Item]
) -> None:
    near, item_id = stock[5], new_item_id()
    fields = {
        "item_id": item_id,
        "title": f"{near.title} II",
        "description": near.description,
        "category": near.category,
        "brand": near.brand,
        "in_stock": True,
        "published_at_ms": now_ms(),
    }
    sender.send_item(item_id, fields)
    wait_until(
        lambda: storefront.rows("SELECT key FROM {keyspace}.item_lists WHERE scene='similar' AND key=%s", (item_id,)),
        EVENT_S,
        "its own list",
    )
    # An item can be shown from the time of an event after its own on.
    sender.send("clicks", click(user("newcomer"), near.item_id))

    wait_until(
        lambda: next(iter(places(storefront, "new")), "") == item_id, EVENT_S, "the newest item, first of the new"
    )
    reason = f"similar to {near.title}"
    wait_until(
        lambda: places(storefront, "similar", near.item_id).get(item_id) == reason, EVENT_S, "its twin beside it"
    )

    sender.send_item(item_id, fields | {"in_stock": False})

    wait_until(
        lambda: item_id not in places(storefront, "similar", near.item_id), EVENT_S, "the end of what is sold out"
    )
    # Another worker may write the lists of the shop.
    wait_until(lambda: item_id not in places(storefront, "new"), EVENT_S, "the end of what is sold out, among the new")
    sender.send_item(item_id, None)
    wait_until(lambda: not places(storefront, "similar", item_id), EVENT_S, "an empty list of what is gone")


def test_rule_is_effective_within_five_seconds_in_lists_made_from_then_on(
    workers: Workers, sender: Sender, storefront: Storefront, stock: list[Item]
) -> None:
    shopper = user("ruled")
    first = storefront.row_caused_by(sender.send("clicks", click(shopper, stock[7].item_id)), 60)
    blocked, pinned = first.items[0].item_id, first.items[-1].item_id
    try:
        put_rule(sender, f"{RUN}-block", {"kind": "block", "item_id": blocked})
        put_rule(sender, f"{RUN}-pin", {"kind": "pin", "item_id": pinned, "position": 0, "note": "spring"})
        sent = time.monotonic()

        def follows() -> bool:
            row = storefront.row_caused_by(sender.send("clicks", click(shopper, stock[7].item_id)), 60)
            return [row.items[0].item_id, row.items[0].reason] == [pinned, "pinned: spring"] and blocked not in {
                item.item_id for item in row.items
            }

        wait_until(follows, RULE_S, "a list that follows the rules")
        wait_until(
            lambda: next(iter(places(storefront, "popular").items()), None) == (pinned, "pinned: spring"),
            EVENT_S,
            "the pinned item in the list of what is popular",
        )
        assert time.monotonic() - sent < EVENT_S
        # What is no rule is refused, in the log, and moves nothing.
        put_rule(sender, f"{RUN}-pin-2", {"kind": "pin", "category": "all", "position": 0})
        wait_until(lambda: refusals(workers.settings), 30, "a worker that says that a rule is refused")
        assert follows()
    finally:
        for name in ("block", "pin", "pin-2"):
            put_rule(sender, f"{RUN}-{name}", None)

    def back() -> bool:
        row = storefront.row_caused_by(sender.send("clicks", click(shopper, stock[7].item_id)), 60)
        return blocked in {item.item_id for item in row.items}

    wait_until(back, RULE_S, "a list without the rules")


def test_pairs_are_listed_within_a_minute_and_count_once_though_a_worker_is_killed(
    workers: Workers, sender: Sender, storefront: Storefront, settings: Settings
) -> None:
    tent, stove = new_item_id(), new_item_id()
    for item_id in (tent, stove):
        sender.send_item(
            item_id, {"item_id": item_id, "title": f"The {item_id}", "in_stock": True, "published_at_ms": now_ms()}
        )
    shoppers = 300
    for number in range(shoppers):
        for item_id in (tent, stove):
            event = cart(user(f"pair-{number}"), item_id, "add")
            sender.post("carts", event)
            # The shop's producer tries again.
            sender.post("carts", event)
        if number == shoppers // 2:
            sender.flush()
            victim = wait_until(workers.ready, 120, "a worker that runs")[0]
            psutil.Process(victim.pid).kill()
    sender.flush()
    workers.wait_drained(300)

    assert pair_count(settings, tent, stove) == pytest.approx(shoppers)
    wait_until(workers.all_ready, 240, "the killed worker's successor")
    for item_id, partner in ((tent, stove), (stove, tent)):
        expected = {partner: f"often in one cart with The {item_id}"}
        wait_until(
            lambda item_id=item_id, expected=expected: places(storefront, "bought_with", item_id) == expected,
            EVENT_S,
            f"{partner} bought with {item_id}",
        )
        sender.send_item(item_id, None)


def pair_count(settings: Settings, one: str, other: str) -> float:
    """Users who took both items today, as the workers have published it."""
    total = 0.0
    for key, value in newest_values(settings, "pair-counts").items():
        item_id, _partition = json.loads(key)
        partners = decode_pair_state(value).partners
        total += {one: partners.get(other, 0.0), other: partners.get(one, 0.0)}.get(item_id, 0.0)
    return total / weight_at(now_ms())


def refusals(settings: Settings) -> list[str]:
    lines = [line for path in settings.logs.glob("worker-*.log") for line in path.read_text().splitlines()]
    return [line for line in lines if f"{RUN}-pin-2" in line and "item_id: only a single item can be pinned" in line]


def lastclick(settings: Settings, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "streams.cli", *words],
        env=os.environ | worker_environment(settings),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_rules_are_put_shown_and_removed(settings: Settings, tmp_path: Path) -> None:
    rule = {"rule_id": f"{RUN}-spring", "kind": "boost", "brand": "no such brand", "factor": 2.0}
    path = tmp_path / "rules.json"
    path.write_text(json.dumps([rule]))

    assert lastclick(settings, "rules", "put", str(path)).returncode == 0
    listed = lastclick(settings, "rules", "list", "--json")
    assert rule in json.loads(listed.stdout)["rules"]
    assert lastclick(settings, "rules", "remove", rule["rule_id"]).returncode == 0

    again = lastclick(settings, "rules", "remove", rule["rule_id"])
    assert again.returncode == 1
    assert "is not there" in again.stderr
    path.write_text(json.dumps([rule | {"factor": 0.5}]))
    refused = lastclick(settings, "rules", "put", str(path))
    assert refused.returncode == 1
    assert "factor: saw 0.5, expected a number over 1" in refused.stderr
