from __future__ import annotations

import pytest

from streams.demo import checks

BROKEN = {("clicks", 0, 5): "value", ("carts", 1, 2): "unit_price"}
WHAT = ["not JSON", "no unit_price"]
TRUTH = {f"r{number}": "positive" if number % 4 else "negative" for number in range(40)}


def test_drained_lag_holds_and_a_rest_does_not() -> None:
    assert checks.lag_drained({"clicks": 0, "carts": 0}, 1.5).ok
    left = checks.lag_drained({"clicks": 0, "carts": 3}, 60.0)
    assert not left.ok
    assert "carts 3" in left.seen


@pytest.mark.parametrize(("applied", "holds"), [(97, True), (96, False), (98, False)])
def test_lost_or_doubled_event_breaks_the_balance(applied: int, holds: bool) -> None:
    assert checks.balance(100, {"applied": applied, "duplicate": 1, "dead_letter": 2}).ok is holds


def test_outcome_that_never_came_counts_as_none() -> None:
    assert checks.balance(5, {"applied": 5}).ok


@pytest.mark.parametrize(("stored", "holds"), [(100, True), (99, False), (101, False)])
def test_stored_states_must_hold_each_event_once(stored: int, holds: bool) -> None:
    assert checks.counted_once(100, stored).ok is holds


def test_dead_letters_that_are_the_broken_events_hold() -> None:
    assert checks.broken_refused(BROKEN, dict(BROKEN), WHAT).ok


def test_broken_event_without_dead_letter_fails() -> None:
    assert not checks.broken_refused(BROKEN, {("clicks", 0, 5): "value"}, WHAT).ok


def test_dead_letter_that_blames_another_field_fails() -> None:
    assert not checks.broken_refused(BROKEN, BROKEN | {("carts", 1, 2): "quantity"}, WHAT).ok


def test_dead_letter_of_a_good_event_fails_and_is_named() -> None:
    check = checks.broken_refused(BROKEN, BROKEN | {("reviews", 0, 1): "text"}, WHAT)
    assert not check.ok
    assert "reviews text" in check.seen


def test_shopper_without_a_list_fails_and_is_named() -> None:
    assert checks.everybody_has_a_list(3, []).ok
    check = checks.everybody_has_a_list(3, ["u2"])
    assert not check.ok
    assert "u2" in check.seen


def test_run_without_shoppers_fails() -> None:
    assert not checks.everybody_has_a_list(0, []).ok


def test_listed_item_that_was_bought_fails_and_is_named() -> None:
    assert checks.nothing_owned_is_listed(5, {}).ok
    check = checks.nothing_owned_is_listed(5, {"u1": {"p7"}})
    assert not check.ok
    assert "u1 p7" in check.seen


def test_equal_features_hold() -> None:
    assert checks.features_agree({"u1": {"a": 1.5, "b": "x"}}, {"u1": {"a": 1.5, "b": "x"}}).ok


@pytest.mark.parametrize("served", [{"a": 1.5000001, "b": "x"}, {"a": None, "b": "x"}, {"a": 1.5}, {}])
def test_feature_that_differs_at_all_fails(served: dict[str, float | str | None]) -> None:
    assert not checks.features_agree({"u1": served}, {"u1": {"a": 1.5, "b": "x"}}).ok


def test_comparing_no_features_fails() -> None:
    assert not checks.features_agree({}, {}).ok


def test_sentiment_better_than_the_commonest_label_holds() -> None:
    assert checks.sentiment_learned(TRUTH, TRUTH).ok


def test_sentiment_that_always_says_the_commonest_label_fails() -> None:
    assert not checks.sentiment_learned(TRUTH, dict.fromkeys(TRUTH, "positive")).ok


def test_review_without_a_score_fails() -> None:
    assert not checks.sentiment_learned(TRUTH, {name: TRUTH[name] for name in list(TRUTH)[1:]}).ok


def test_few_reviews_are_not_measured() -> None:
    few = {"r1": "positive", "r2": "negative"}
    assert checks.sentiment_learned(few, {"r1": "negative", "r2": "positive"}).ok


def test_crash_fails() -> None:
    assert checks.no_crash(0).ok
    assert not checks.no_crash(1).ok


def test_page_that_does_not_answer_fails() -> None:
    assert checks.page_answered(True, "http://shop").ok
    assert not checks.page_answered(False, "http://shop").ok
