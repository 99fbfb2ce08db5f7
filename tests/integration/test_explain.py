"""An item explained from the topics, Cassandra and the model, after real events went through the flow."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from feature_repo.events import Item
from streams.explain import UnknownItem
from streams.explain_sources import UnknownUser, explain_item
from streams.explanation import Explanation
from streams.settings import Settings
from streams.supervisor import worker_environment
from tests.integration.clients import RUN, Sender, Storefront, cart, click, user
from tests.integration.running import Workers

pytestmark = pytest.mark.integration


def explained(settings: Settings, user_id: str, item_id: str) -> Explanation:
    return explain_item(settings, user_id, item_id, lambda done, total: None)


def test_lineage_goes_from_the_source_events_to_the_place_in_the_stored_list(
    settings: Settings, sender: Sender, storefront: Storefront, workers: Workers, stock: list[Item]
) -> None:
    anna = user("explained")
    first = sender.send("clicks", click(anna, stock[0].item_id))
    # Events of two topics are taken in any order, and the list names the one taken last.
    storefront.row_caused_by(first)
    bought = sender.send("carts", cart(anna, stock[1].item_id, "purchase"))
    storefront.row_caused_by(bought)
    last = sender.send("clicks", click(anna, stock[2].item_id))
    row = storefront.row_caused_by(last)

    found = explained(settings, anna, row.items[0].item_id)

    assert found.in_list
    assert not found.hurdles
    assert found.stored_list is not None
    assert found.stored_list.position == 1
    assert found.stored_list.list_id == row.list_id
    assert found.stored_list.caused_by == found.state_event_id == last["event_id"]
    assert found.stored_list.model_version == found.model_version
    # The model that wrote the list and the one that explains it agree on the score.
    assert found.score == pytest.approx(row.items[0].score, abs=1e-3)
    assert {(cause.event_id, cause.topic, cause.occurred_at_ms) for cause in found.causes} == {
        (first["event_id"], "clicks", first["occurred_at_ms"]),
        (bought["event_id"], "carts", bought["occurred_at_ms"]),
        (last["event_id"], "clicks", last["occurred_at_ms"]),
    }
    values = {name: value for group in found.features for name, value in group.values.items()}
    assert (values["clicks_24h"], values["purchases_24h"]) == (2, 1)
    assert explained(settings, anna, stock[1].item_id).hurdles[0].name == "bought"

    command = [sys.executable, "-m", "streams.cli", "explain", anna, row.items[0].item_id, "--json"]
    environment = os.environ | worker_environment(settings)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=True)
    assert json.loads(done.stdout)["causes"] == [
        {field: getattr(cause, field) for field in cause.__struct_fields__} for cause in found.causes
    ]


def test_unknown_user_and_item_say_what_to_do(
    settings: Settings, sender: Sender, storefront: Storefront, workers: Workers, stock: list[Item]
) -> None:
    boris = user("known")
    storefront.row_caused_by(sender.send("clicks", click(boris, stock[0].item_id)))

    with pytest.raises(UnknownUser, match="no event of theirs was processed yet; check the id, or send an event"):
        explained(settings, f"{RUN}-nobody", stock[0].item_id)
    with pytest.raises(UnknownItem, match="check the id, or publish the item on the topic items"):
        explained(settings, boris, f"{RUN}-nothing")
