"""The simulated shop as the demo sends it: its days after those that models were trained on, one shopper slowed down.

A visit takes ten minutes of shop time, which pass in a quarter of a second at 200 events/s: nobody could watch it. So
the events of the followed shopper are taken out of the stream and sent seconds apart, in order and with their own
times. State merges by event time, so this changes no result.

Some items are on offer when it begins, and for two months of shop time: half an hour at 200 events/s.
"""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator

import msgspec

from feature_repo.events import Click, Event, Item, Review
from feature_repo.sources.shop import Shop
from feature_repo.sources.shop.offers import with_offers
from streams.demo.casting import MOST_STEPS, cast
from streams.demo.sent import Sent

DAY_MS = 86_400_000
FIRST_DAY = 28
"""Models are trained on the days before."""
LOOK_AHEAD = 12_000
"""Events known before they are sent, under two days: among them is somebody worth following."""
STEP_S = 1.5
SILENCE_S = 4.0
"""A followed shopper of whom nothing more is known goes out of sight after this long."""
RETRY_S = 5.0

Topical = tuple[str, Event]


class DemoShop:
    """A `feature_repo.sources.Source` that one thread reads once, while others look at it.

    Parameters
    ----------
    seed
        Of the simulated shop.
    prefix
        Put before user, event and session ids, so that a second run on the same servers sends no duplicates.
    """

    name = "shop"

    def __init__(self, seed: int, prefix: str = "") -> None:
        self.seed = seed
        self.skipped: Counter[str] = Counter()
        self.sent = Sent()
        self.shop_ms = 0
        """Time in the shop; 0 until the first event is about to be sent."""
        self._shop = Shop(seed=seed, days=None, first_day=FIRST_DAY)
        self._items = with_offers(self._shop.items(), seed, self._shop.start_ms + FIRST_DAY * DAY_MS)
        self._source = self._shop.events()
        self._prefix = prefix
        self._follow: Callable[[str], None] = lambda user_id: None
        self._show: Callable[[str, Event], None] = lambda topic, event: None
        self._ahead: deque[Topical] = deque()
        self._slow: deque[Topical] = deque()
        self._followed: str | None = None
        self._seen: set[str] = set()
        self._steps = 0
        self._next_at = 0.0
        self._stepped_at = 0.0

    def items(self) -> Iterator[Item]:
        """Yield the catalogue, in which some items are on offer."""
        return iter(self._items)

    def count(self) -> int | None:
        """Return None: the shop never closes."""
        return None

    def tell(self, follow: Callable[[str], None], show: Callable[[str, Event], None]) -> None:
        """Set who is told of followed shoppers; before `events` is read.

        Parameters
        ----------
        follow
            Called with the user_id of each shopper that is followed from now on.
        show
            Called with each event of the followed shopper, and its topic, when it is about to be sent.
        """
        self._follow, self._show = follow, show

    def prepare(self) -> None:
        """Simulate what is looked ahead at: some seconds of work, best done while servers start."""
        while len(self._ahead) < LOOK_AHEAD:
            self._ahead.append(self._named(next(self._source)))

    def events(self) -> Iterator[Topical]:
        """Yield events without end, those of the followed shopper seconds apart."""
        self.prepare()
        while True:
            topic, event = self._next()
            # A reader that stops takes an event and does not send it: it counts when the next one is asked for.
            yield topic, event
            mood = None
            if isinstance(event, Review):
                mood = self._shop.true_mood(event.event_id.removeprefix(self._prefix))
            self.sent.note(topic, event, mood)

    def _next(self) -> Topical:
        now = time.monotonic()
        if now >= self._change_at():
            self._change(now)
        if self._slow and self._steps < MOST_STEPS and now >= self._next_at:
            topic, event = self._slow.popleft()
            self._next_at, self._stepped_at = now + STEP_S, now
            self._steps += 1
            self._show(topic, event)
            return topic, event
        while True:
            self._ahead.append(self._named(next(self._source)))
            topic, event = self._ahead.popleft()
            if event.user_id != self._followed:
                self.shop_ms = event.occurred_at_ms
                return topic, event
            self._slow.append((topic, event))

    def _change_at(self) -> float:
        """Time from which another shopper is followed: this one is silent, or was followed for long."""
        if self._followed is None:
            return self._next_at
        return math.inf if self._slow and self._steps < MOST_STEPS else self._stepped_at + SILENCE_S

    def _change(self, now: float) -> None:
        # What this shopper did later goes out with everybody's, before what they do after that.
        self._ahead.extendleft(reversed(self._slow))
        self._slow.clear()
        self._followed = cast(self._ahead, self._seen)
        self._steps = 0
        # A moment to read who it is, and for the watcher to read their list as it stands.
        self._next_at = self._stepped_at = now + STEP_S
        if self._followed is None:
            self._next_at = now + RETRY_S
            return
        self._seen.add(self._followed)
        self._slow.extend(entry for entry in self._ahead if entry[1].user_id == self._followed)
        self._ahead = deque(entry for entry in self._ahead if entry[1].user_id != self._followed)
        self._follow(self._followed)

    def _named(self, topical: Topical) -> Topical:
        topic, event = topical
        if not self._prefix:
            return topical
        names = {"user_id": self._prefix + event.user_id, "event_id": self._prefix + event.event_id}
        if isinstance(event, Click) and event.session_id is not None:
            names["session_id"] = self._prefix + event.session_id
        return topic, msgspec.structs.replace(event, **names)
