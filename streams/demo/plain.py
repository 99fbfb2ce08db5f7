"""The demo where there is no terminal (a pipe, CI): a frame in, a line or two out, every few seconds."""

from __future__ import annotations

from collections.abc import Iterator

from streams.demo.frame import Frame, milliseconds
from streams.demo.words import deed, item_title, outcome

INTERVAL_S = 5.0


class PlainLines:
    """Remembers which of the followed shopper's steps were told."""

    def __init__(self) -> None:
        self._told: set[str] = set()
        self._user_id = ""

    def lines(self, frame: Frame) -> Iterator[str]:
        """Yield what is worth saying now."""
        rate = frame.sent_rates[-1] if frame.sent_rates else 0.0
        yield (
            f"{frame.elapsed_s:4.0f} s  {frame.doing}: {frame.sent:,} events sent, {rate:,.0f}/s, "
            f"lag {frame.reading.lag:,}, event to list p50 {milliseconds(frame.recent, 50)} "
            f"p99 {milliseconds(frame.recent, 99)}, dead letters {frame.dead_letters}, triggers {frame.triggers}"
        )
        followed = frame.followed
        if followed.user_id != self._user_id:
            self._user_id = followed.user_id
            self._told.clear()
            yield f"        following {followed.user_id}, whose events are sent 1.5 s apart"
        for step in followed.steps:
            if step.event.event_id in self._told or step.after is None or step.propensity is None:
                continue
            self._told.add(step.event.event_id)
            mood = f" ({step.sentiment.label} {step.sentiment.value:+.2f})" if step.sentiment else ""
            yield (
                f"        {followed.user_id} {deed(step.event)} {item_title(step.event, frame.title)}{mood}: "
                f"propensity {step.propensity:.2f}, {outcome(step)}"
            )
