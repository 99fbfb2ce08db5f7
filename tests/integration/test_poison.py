"""A text that kills the process of whoever reads it: one dead letter, and everything around it is applied."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from feature_repo.events import Item
from feature_repo.online import open_feature_store
from feature_repo.state import decode_state
from streams.runtime import online_config
from streams.settings import Settings
from tests.integration.clients import Sender, Storefront, click, new_item_id, now_ms, review, user
from tests.integration.running import Fleet, Workers
from tests.waiting import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

DEADLY = "deadly-text"
SITECUSTOMIZE = f'''
"""Loaded by every Python of these workers: the tokeniser aborts the process on one text, as native code would."""
import importlib.abc
import importlib.util
import os
import sys


class Deadly(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name != "scorer.tokenise":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module

        def load_deadly(module):
            load(module)
            encode = module.Tokeniser.encode

            def encode_or_die(self, texts):
                if any({DEADLY!r} in text for text in texts):
                    os.abort()
                return encode(self, texts)

            module.Tokeniser.encode = encode_or_die

        spec.loader.exec_module = load_deadly
        return spec


sys.meta_path.insert(0, Deadly())
'''


@pytest.fixture
def mortal(
    fleet: Fleet, settings: Settings, stock: list[Item], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Workers]:
    """Two workers that a text can kill; whoever needs workers later gets others."""
    fleet.of(settings, 2).wait_drained()
    fleet.stop()
    (tmp_path / "sitecustomize.py").write_text(SITECUSTOMIZE)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    yield fleet.of(settings, 2)
    fleet.stop()


def test_deadly_review_becomes_one_dead_letter_and_its_neighbours_are_applied(
    mortal: Workers, sender: Sender, storefront: Storefront, stock: list[Item], tail: Any
) -> None:
    letters = tail("dead-letters")
    users = [user(f"poison-{number}") for number in range(20)]
    for number in range(10):
        for each in users:
            sender.post("clicks", click(each, stock[number].item_id))
            sender.post("reviews", review(each, stock[number].item_id, "lovely, fits well"))
            if (number, each) == (5, users[7]):
                deadly = review(each, stock[number].item_id, f"so {DEADLY} that it kills")
                sender.post("reviews", deadly)
    sender.flush()

    letter = letters.first(lambda letter: letter["key"] == users[7].encode(), 240)
    mortal.wait_drained(240)

    assert letter["topic"] == "reviews"
    assert letter["field"] == "value"
    assert "process died" in letter["reason"]
    places = {(each["topic"], each["partition"], each["offset"]) for each in letters.seen}
    assert places == {("reviews", letter["partition"], letter["offset"])}
    for each in users:
        (row,) = storefront.rows("SELECT state FROM {keyspace}.user_state WHERE user_id = %s", (each,))
        totals = decode_state(row.state).totals
        assert (totals.clicks, totals.reviews) == (10, 10), each
    # Twice or three times each: a partition may go to the other worker while the first one starts again.
    assert 2 <= mortal.restarts <= 6
    # Whoever was killed is well again.
    storefront.row_caused_by(sender.send("clicks", click(users[7], stock[0].item_id)))


def test_deadly_item_becomes_one_dead_letter_and_its_neighbours_are_published(
    mortal: Workers, sender: Sender, settings: Settings, tail: Any
) -> None:
    letters = tail("dead-letters")
    item_ids = [new_item_id() for _ in range(5)]
    titles = ["Tent", "Cup", f"A {DEADLY}", "Mug", "Peg"]
    for item_id, title in zip(item_ids, titles, strict=True):
        item = {"item_id": item_id, "title": title, "in_stock": True, "published_at_ms": now_ms() - 1}
        sender.post_item(item_id, item)
    sender.flush()

    letter = letters.first(lambda letter: letter["key"] == item_ids[2].encode(), 240)
    mortal.wait_drained(240)

    assert letter["topic"] == "items"
    assert {each["offset"] for each in letters.seen} == {letter["offset"]}
    with open_feature_store(online_config(settings)) as online:
        wait_until(
            lambda: [item["title"] for item in online.read_items(item_ids)] == ["Tent", "Cup", None, "Mug", "Peg"],
            60,
            "features of the items around it",
        )
    for item_id in item_ids:
        sender.send_item(item_id, None)
