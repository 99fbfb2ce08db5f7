from __future__ import annotations

import pytest

from streams.replay import CATCH_UP_S, Pace, Schedule


def test_events_are_due_at_the_rate() -> None:
    schedule = Schedule(Pace(rate=200), now_s=10.0)
    assert [schedule.due_s(index, 0, 10.0) for index in range(3)] == pytest.approx([10.0, 10.005, 10.01])


def test_events_are_due_at_a_multiple_of_event_time() -> None:
    schedule = Schedule(Pace(speedup=60), now_s=0.0)
    assert [schedule.due_s(index, ms, 0.0) for index, ms in enumerate((1_000, 61_000, 121_000))] == [0.0, 1.0, 2.0]


def test_short_delay_is_made_up_for() -> None:
    schedule = Schedule(Pace(rate=10), now_s=0.0)
    assert schedule.due_s(5, 0, now_s=0.5 + CATCH_UP_S) == 0.5
    assert schedule.due_s(6, 0, now_s=0.5 + CATCH_UP_S) == pytest.approx(0.6)


def test_long_pause_is_not_made_up_for_in_a_burst() -> None:
    schedule = Schedule(Pace(rate=10), now_s=0.0)
    assert schedule.due_s(5, 0, now_s=100.0) == pytest.approx(100.0 - CATCH_UP_S)
    assert schedule.due_s(6, 0, now_s=100.0) == pytest.approx(100.1 - CATCH_UP_S)
    assert schedule.due_s(30, 0, now_s=100.0) > 100.0


def test_without_a_pace_everything_is_due_at_once() -> None:
    schedule = Schedule(Pace(), now_s=5.0)
    assert [schedule.due_s(index, 0, now_s=500.0) for index in (0, 1_000)] == [5.0, 5.0]


def test_late_event_is_due_at_once_and_moves_nothing_that_follows() -> None:
    schedule = Schedule(Pace(speedup=60), now_s=0.0)
    times_ms = (1_000, 61_000, 1_000 - 86_400_000, 121_000)
    assert [schedule.due_s(index, ms, 1.0) for index, ms in enumerate(times_ms)] == [0.0, 1.0, 1.0, 2.0]
