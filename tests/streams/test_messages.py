from __future__ import annotations

import base64
import json

import numpy as np
import pytest

from feature_repo.declarations import FeatureRow
from feature_repo.events import DecodeError, Review
from scorer.aspects import Mention
from streams.messages import ListNotice, aspects_score, for_user, propensity_score, refused, sentiment_score
from streams.records import Record
from streams.topics import DEAD_LETTERS, RECOMMENDATIONS
from streams.triggers import PropensityRule, TriggerMemory

ERROR = DecodeError("quantity", "0", "a whole number")


@pytest.mark.parametrize("value", [b"", b"\x00\xff\xfe not text", None, bytes(range(256)) * 100])
def test_dead_letter_gives_the_original_bytes_back(value: bytes | None) -> None:
    message = refused(Record("carts", 3, 41, 0, b"\xffkey", value), ERROR)

    letter = json.loads(message.value or b"")
    assert message.topic == DEAD_LETTERS
    assert message.key == b"\xffkey"
    assert base64.b64decode(letter["key_base64"]) == b"\xffkey"
    seen = letter["value_base64"]
    assert (None if seen is None else base64.b64decode(seen)) == value


def test_dead_letter_says_where_it_was_and_why_it_was_refused() -> None:
    letter = json.loads(refused(Record("carts", 3, 41, 0, None, b"{}"), ERROR).value or b"")

    assert (letter["topic"], letter["partition"], letter["offset"]) == ("carts", 3, 41)
    assert letter["field"] == "quantity"
    assert letter["reason"] == "quantity: saw 0, expected a whole number"
    assert letter["key_base64"] is None


def test_message_about_a_user_is_keyed_by_them_in_the_partition_of_their_events() -> None:
    message = for_user(RECOMMENDATIONS, "Zoë", 3, ListNotice("Zoë", "home", "l1", "e1"))

    assert message.topic == RECOMMENDATIONS
    assert message.key == "Zoë".encode()
    assert message.partition == 3
    assert json.loads(message.value or b"") == {
        "user_id": "Zoë",
        "scene": "home",
        "list_id": "l1",
        "caused_by": "e1",
    }


def test_propensity_score_carries_what_it_was_computed_from() -> None:
    row = FeatureRow(np.array([0.1, 2.0], np.float32), {"top_category": "tents"}, ("a", "b"))

    score = propensity_score("anna", 0.7, "high", "v1", "e1", 5, row)
    value = json.loads(for_user("scores", "anna", 0, score).value or b"")

    assert value == {
        "score_id": "propensity:e1",
        "user_id": "anna",
        "kind": "propensity",
        "value": 0.7,
        "label": "high",
        "model_version": "v1",
        "caused_by": "e1",
        "occurred_at_ms": 5,
        "features": {"a": float(np.float32(0.1)), "b": 2.0},
    }


def test_sentiment_score_names_the_item_and_repeats_its_id() -> None:
    review = Review("e1", "anna", "tent", "good", 5)

    score = sentiment_score(review, 0.5, "positive", "v1")
    value = json.loads(for_user("scores", "anna", 0, score).value or b"")

    assert value == {
        "score_id": "sentiment:e1",
        "user_id": "anna",
        "kind": "sentiment",
        "value": 0.5,
        "label": "positive",
        "model_version": "v1",
        "caused_by": "e1",
        "occurred_at_ms": 5,
        "item_id": "tent",
    }
    assert score == sentiment_score(review, 0.5, "positive", "v1")


def test_trigger_has_the_contracts_fields() -> None:
    _, trigger = PropensityRule(0.5, 0.4, 10).apply(TriggerMemory(), "anna", 0.7, 5, "e1")

    assert trigger is not None
    value = json.loads(for_user("triggers", "anna", 0, trigger).value or b"")
    assert {"trigger_id", "rule", "score", "reason", "arm", "caused_by"} <= value.keys()


def test_aspects_score_names_what_a_review_is_about_and_what_it_likes_least() -> None:
    review = Review("r1", "anna", "tent", "Lovely tent, but it came late.", 5)
    mentions = (Mention("product", "positive", 0.99, 0.9), Mention("delivery", "negative", 0.75, -0.8))

    value = json.loads(for_user("scores", "anna", 0, aspects_score(review, mentions, "v1")).value or b"")

    assert value == {
        "score_id": "aspects:r1",
        "user_id": "anna",
        "kind": "aspects",
        "value": -0.8,
        "label": "product, delivery",
        "model_version": "v1",
        "caused_by": "r1",
        "occurred_at_ms": 5,
        "item_id": "tent",
        "aspects": [
            {"aspect": "product", "label": "positive", "value": 0.9, "probability": 0.99},
            {"aspect": "delivery", "label": "negative", "value": -0.8, "probability": 0.75},
        ],
    }
