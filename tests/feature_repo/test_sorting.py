from __future__ import annotations

from feature_repo.events import Click, Event
from feature_repo.sources.sorting import sorted_by_time


def click(event_id: str, at_ms: int) -> tuple[str, Event]:
    return "clicks", Click(event_id, "ann", "mug", at_ms)


def test_events_come_by_time_and_stay_in_order_within_a_millisecond() -> None:
    events = [click("b", 2), click("d", 3), click("a", 1), click("c", 2)]
    assert list(sorted_by_time(events)) == [events[2], events[0], events[3], events[1]]


def test_sort_that_is_left_halfway_can_be_taken_again() -> None:
    events = [click(str(number), 1000 - number) for number in range(1000)]
    assert next(sorted_by_time(events)) == events[-1]
    assert list(sorted_by_time(events)) == events[::-1]
