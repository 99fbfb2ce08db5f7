from __future__ import annotations

import random
from itertools import pairwise

import pytest

from streams.triggers import PropensityRule, Trigger, TriggerMemory, decode_memory, encode_memory

DAY_MS = 86_400_000
RULE = PropensityRule(threshold=0.6, rearm=0.4, cooldown_s=86_400)


def fired(*course: tuple[float, int], rule: PropensityRule = RULE, user_id: str = "anna") -> list[Trigger | None]:
    """What the rule does along a course of (propensity, event time)."""
    memory, triggers = TriggerMemory(), []
    for number, (propensity, ms) in enumerate(course):
        # As it is between two batches: in bytes.
        memory, trigger = rule.apply(decode_memory(encode_memory(memory)), user_id, propensity, ms, f"event-{number}")
        triggers.append(trigger)
    return triggers


def at(*course: tuple[float, int]) -> list[int]:
    """Places of the course at which it fires."""
    return [place for place, trigger in enumerate(fired(*course)) if trigger is not None]


def test_it_fires_at_the_threshold_and_not_below() -> None:
    assert at((0.59, 0), (0.6, 1)) == [1]


def test_it_fires_once_while_the_propensity_stays_high() -> None:
    assert at((0.7, 0), (0.8, 2 * DAY_MS), (0.9, 4 * DAY_MS)) == [0]


def test_between_rearm_and_threshold_it_stays_disarmed() -> None:
    assert at((0.7, 0), (0.41, 2 * DAY_MS), (0.7, 3 * DAY_MS)) == [0]


def test_it_fires_again_after_a_fall_to_the_rearm_level() -> None:
    assert at((0.7, 0), (0.4, 2 * DAY_MS), (0.5, 3 * DAY_MS), (0.7, 4 * DAY_MS)) == [0, 3]


def test_cool_down_is_kept_in_event_time() -> None:
    assert at((0.7, 0), (0.1, 1), (0.7, DAY_MS - 1)) == [0]
    assert at((0.7, 0), (0.1, 1), (0.7, DAY_MS)) == [0, 2]


def test_a_rise_during_the_cool_down_fires_when_it_is_over() -> None:
    assert at((0.7, 0), (0.1, 1), (0.7, 2), (0.8, DAY_MS + 1)) == [0, 3]


def test_trigger_says_what_happened() -> None:
    (trigger,) = fired((0.625, 5))

    assert trigger is not None
    assert trigger.user_id == "anna"
    assert trigger.rule == "propensity"
    assert trigger.score == 0.625
    assert trigger.arm == "sent"
    assert trigger.caused_by == "event-0"
    assert trigger.occurred_at_ms == 5
    assert "0.62 reached 0.60" in trigger.reason


def test_id_depends_on_user_and_count_alone() -> None:
    """After a crash batches are cut elsewhere: the same trigger may have another cause, score and time."""
    first, _, second = fired((0.7, 0), (0.1, 1), (0.7, DAY_MS))
    again, _, _, second_again = fired((0.9, 7), (0.3, 8), (0.2, 9), (0.8, 2 * DAY_MS))
    (other,) = fired((0.7, 0), user_id="bert")

    ids = [trigger.trigger_id for trigger in (first, second, again, second_again, other) if trigger is not None]
    assert ids[0] == ids[2]
    assert ids[1] == ids[3]
    assert len(set(ids)) == 3


def test_memory_of_nothing_is_new() -> None:
    assert decode_memory(b"") == TriggerMemory(armed=True, fired=0, fired_at_ms=0)


@pytest.mark.parametrize("seed", range(5))
def test_two_triggers_of_a_user_are_never_closer_than_the_cool_down(seed: int) -> None:
    chance = random.Random(seed)
    ms, course = 0, []
    for _ in range(400):
        ms += chance.randrange(DAY_MS // 4)
        course.append((chance.random(), ms))

    times = [trigger.occurred_at_ms for trigger in fired(*course) if trigger is not None]

    assert len(times) > 10
    assert all(later - earlier >= DAY_MS for earlier, later in pairwise(times))
