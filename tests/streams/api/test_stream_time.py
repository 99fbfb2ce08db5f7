"""The time of a replayed shop is that of its newest event."""

from __future__ import annotations

import json

from feature_repo.events import MAX_AHEAD_MS
from streams.api.stream_time import StreamTime

APPENDED_MS = 1_700_000_000_000


def event(at_ms: object) -> bytes:
    return json.dumps({"event_id": "e", "occurred_at_ms": at_ms}).encode()


def test_no_time_before_the_first_event() -> None:
    assert StreamTime("").now_ms is None


def test_newest_event_tells_the_time_in_any_order() -> None:
    time = StreamTime("")

    for at_ms in (5_000, 9_000, 7_000):
        time.take(event(at_ms), APPENDED_MS)

    assert time.now_ms == 9_000


def test_clock_that_is_ahead_is_clamped_as_the_workers_clamp_it() -> None:
    time = StreamTime("")

    time.take(event(APPENDED_MS + MAX_AHEAD_MS + 1), APPENDED_MS)

    assert time.now_ms == APPENDED_MS


def test_what_is_no_event_tells_nothing() -> None:
    time = StreamTime("")

    for value in (None, b"{", b"\xff", b"[]", event("noon")):
        time.take(value, APPENDED_MS)

    assert time.now_ms is None
