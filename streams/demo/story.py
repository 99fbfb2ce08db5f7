"""The followed shopper: their events, lists, scores and reviews in, each as it arrives; steps to show out."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from feature_repo.events import Event
from streams.store import RecommendedItem

STEPS_KEPT = 20
PROPENSITIES_KEPT = 40

Items = tuple[RecommendedItem, ...]


@dataclass(frozen=True)
class Sentiment:
    """What a review's text says, in [-1, 1], and its label."""

    value: float
    label: str


@dataclass
class Step:
    """One event of the shopper, and what came of it so far."""

    topic: str
    event: Event
    sent_at_s: float
    """Time of sending, seconds since the epoch."""
    before: Items = ()
    after: Items | None = None
    readable_after_s: float | None = None
    """Seconds from sending the event until its list was read back from Cassandra."""
    propensity: float | None = None
    sentiment: Sentiment | None = None


class Story:
    """Steps of the shopper who is followed now; several threads tell it what they see."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.user_id = ""
        self.items: Items = ()
        self.steps: deque[Step] = deque(maxlen=STEPS_KEPT)
        self.propensities: deque[float] = deque(maxlen=PROPENSITIES_KEPT)

    def begin(self, user_id: str, items: Items) -> None:
        """Follow another shopper, whose list now is ``items``."""
        with self._lock:
            self.user_id, self.items = user_id, items
            self.steps.clear()
            self.propensities.clear()

    def sent(self, topic: str, event: Event, at_s: float) -> None:
        """An event of the shopper is being sent."""
        with self._lock:
            if event.user_id == self.user_id:
                self.steps.append(Step(topic, event, at_s, before=self.items))

    def listed(self, caused_by: str, items: Items, at_s: float) -> None:
        """The shopper's list that knows the event ``caused_by`` was read back."""
        with self._lock:
            for step in self.steps:
                if step.event.event_id == caused_by:
                    step.before, step.after = self.items, items
                    step.readable_after_s = at_s - step.sent_at_s
                    self.items = items

    def scored(self, caused_by: str, propensity: float) -> None:
        """The shopper's propensity after the event ``caused_by``."""
        with self._lock:
            for step in self.steps:
                if step.event.event_id == caused_by and step.propensity is None:
                    step.propensity = propensity
                    self.propensities.append(propensity)

    def reviewed(self, caused_by: str, sentiment: Sentiment) -> None:
        """Sentiment of the review ``caused_by``."""
        with self._lock:
            for step in self.steps:
                if step.event.event_id == caused_by:
                    step.sentiment = sentiment

    def snapshot(self) -> tuple[str, list[Step], list[float]]:
        """The shopper's user_id, steps with the newest last, and propensities with the newest last."""
        with self._lock:
            return self.user_id, list(self.steps), list(self.propensities)
