"""Scenes of a user before real servers: what happens to users and items is in the lists that are read next."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from feature_repo.events import Item, encode
from tests.integration.api_process import ApiProcess
from tests.integration.clients import Sender, user
from tests.integration.running import Workers
from tests.waiting import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]


def scene(api: ApiProcess, user_id: str, query: str) -> dict[str, Any]:
    answer = api.get(f"/v1/users/{user_id}/lists/{query}")
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


def ids(page: dict[str, Any]) -> list[str]:
    return [each["item_id"] for each in page["items"]]


def wait_for_state(api: ApiProcess, user_id: str, event_id: str) -> None:
    wait_until(lambda: api.home(user_id)["caused_by"] == event_id, 60, f"a list caused by {event_id}")


def test_cart_category_and_explanation_know_the_last_event(
    workers: Workers, api: ApiProcess, stock: list[Item]
) -> None:
    carla, chosen = user("scenes-carla"), stock[0]
    added = {"user_id": carla, "item_id": chosen.item_id, "action": "add", "quantity": 1, "unit_price": 5.0}
    event_id = api.post("carts", added).json()["events"][0]["event_id"]
    wait_for_state(api, carla, event_id)
    category_of = {item.item_id: item.category for item in stock}

    cart = scene(api, carla, "cart?limit=100")
    shelf = scene(api, carla, f"category?category={chosen.category}&limit=500")
    home = api.home(carla)
    explained = api.get(f"/v1/users/{carla}/items/{home['items'][0]['item_id']}/explanation").json()

    assert (cart["caused_by"], cart["model_version"]) == (event_id, home["model_version"])
    assert chosen.item_id not in ids(cart)
    assert chosen.category not in {category_of[item_id] for item_id in ids(cart)}
    assert all(chosen.title in each["reason"] for each in cart["items"])
    assert chosen.item_id in ids(shelf), "a shelf keeps what is in the cart"
    assert {category_of[item_id] for item_id in ids(shelf)} == {chosen.category}
    assert explained["stored_list"]["position"] == 1
    assert explained["stored_list"]["list_id"] == home["list_id"]
    assert [(cause["event_id"], cause["action"]) for cause in explained["causes"]] == [(event_id, "add")]


def test_promotion_and_stock_count_at_once(
    workers: Workers, api: ApiProcess, sender: Sender, stock: list[Item]
) -> None:
    dora, offered, seen = user("scenes-dora"), stock[5], stock[6]
    event_id = api.post("clicks", {"user_id": dora, "item_id": seen.item_id}).json()["events"][0]["event_id"]
    wait_for_state(api, dora, event_id)
    assert offered.item_id not in ids(scene(api, dora, "promotion?limit=100"))

    on_offer = msgspec.structs.replace(offered, price=6.0, list_price=8.0, promotion_id="spring")
    sender.send_bytes("items", offered.item_id.encode(), encode(on_offer))
    wait_until(lambda: offered.item_id in ids(scene(api, dora, "promotion?limit=100")), 30, "an offer in the list")
    (place,) = [each for each in scene(api, dora, "promotion?limit=100")["items"] if each["item_id"] == offered.item_id]
    assert place["reason"].startswith("25% off")

    sender.send_bytes("items", offered.item_id.encode(), encode(msgspec.structs.replace(on_offer, in_stock=False)))
    wait_until(lambda: offered.item_id not in ids(scene(api, dora, "promotion?limit=100")), 30, "an offer that is gone")
    sender.send_bytes("items", offered.item_id.encode(), encode(offered))
