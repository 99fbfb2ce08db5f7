"""The live part: ready workers and a shop in; events sent, watched and drained, frames and checks out."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import ExitStack

from streams.demo.audit import Items, stored_checks
from streams.demo.broken import BrokenSender, broken_events
from streams.demo.checks import Check, balance, broken_refused, lag_drained, no_crash, page_answered, sentiment_learned
from streams.demo.frame import Followed, Frame, WorkerLine
from streams.demo.interrupts import Interrupts
from streams.demo.page import ShopPage
from streams.demo.readings import Meter
from streams.demo.sending import Sending
from streams.demo.shop import DemoShop
from streams.demo.story import Story
from streams.demo.visits import Visits, read_visits
from streams.demo.watch import OutputWatch
from streams.lag import GroupLag
from streams.settings import Settings
from streams.supervisor import Supervisor
from streams.topics import ITEMS, USER_TOPICS

TICK_S = 0.3
"""Between two frames."""
WARM_UP_S = 10.0
BROKEN_AT_S = (2.0, 4.0, 6.0)
RATES_KEPT = 24
DRAIN_S = 60.0
CATALOGUE_S = 300.0


class LivePart:
    """Everything that runs between the first event and the checks; a context manager's ``stack`` closes it.

    Parameters
    ----------
    settings
        Of the demo's workers.
    shop, supervisor
        Whose events go to whose workers.
    page
        The shop's page.
    rate
        Events per second.
    seconds
        Length; None until a signal.
    prefix
        Of the shop's ids.
    stack
        What is opened here closes with it.
    """

    def __init__(
        self,
        settings: Settings,
        shop: DemoShop,
        supervisor: Supervisor,
        page: ShopPage,
        rate: float,
        seconds: float | None,
        prefix: str,
        stack: ExitStack,
    ) -> None:
        self._settings, self._shop, self._supervisor, self._page, self._seconds = (
            settings,
            shop,
            supervisor,
            page,
            seconds,
        )
        self._items = list(shop.items())
        self._titles = {item.item_id: item.title for item in self._items}
        self._story = Story()
        self._watch = OutputWatch(settings, self._story, prefix)
        stack.callback(self._watch.close)
        shop.tell(self._watch.follow, lambda topic, event: self._story.sent(topic, event, time.time()))
        self._meter = Meter(supervisor.ready)
        stack.callback(self._meter.close)
        self._broken = BrokenSender(
            settings,
            broken_events(prefix, self._items[0].published_at_ms),
            [min(1.0, (seconds or 60) / 10) * at for at in BROKEN_AT_S],
        )
        stack.callback(self._broken.close)
        self._sending = Sending(shop, settings, rate)
        stack.callback(self._sending.close)
        self._started = time.monotonic()
        self._ended: float | None = None
        self._warm = False
        self._rates: deque[float] = deque(maxlen=RATES_KEPT)
        self._rated = (self._started, 0)
        self._before: Counter[str] = Counter()
        self._lag: dict[str, int] = {}
        self._drained_s = 0.0

    def settle(self, interrupts: Interrupts, tell: Callable[[str], None]) -> None:
        """On servers that others use: let the workers take what was there before, which is not the demo's to count."""
        told = False
        with GroupLag(self._settings) as group:
            while left := sum(group.by_topic([*USER_TOPICS, ITEMS]).values()):
                if not told:
                    tell(f"the workers first take {left:,} records that were there before")
                told = True
                interrupts.wait(TICK_S)
                self._raise_failures()
        self._before = self._meter.read_once().events

    def send_catalogue(self, interrupts: Interrupts, tell: Callable[[str], None]) -> None:
        """Return when the workers know every item and the first event is about to be sent."""
        told = 0
        while not self._shop.shop_ms:
            interrupts.wait(TICK_S)
            self._raise_failures()
            known = self._meter.now.items
            if known >= told + len(self._items) // 4:
                told = known
                tell(f"{known} of {len(self._items)} items have their text vectors and can be recommended")
        self._started = time.monotonic()
        self._rated = (self._started, 0)
        self._broken.start()

    def run(self, interrupts: Interrupts, show: Callable[[Frame], None]) -> None:
        """Show what goes on until the time is up.

        Raises
        ------
        Interrupted
            When a signal ends it before.
        """
        while self._seconds is None or time.monotonic() < self._started + self._seconds:
            interrupts.wait(TICK_S)
            self._raise_failures()
            self._broken.tick()
            self._warm_up()
            show(self.frame("running"))

    def drain(self, interrupts: Interrupts, show: Callable[[Frame], None]) -> None:
        """Stop sending, and return when the workers have taken everything, or have taken nothing for a minute."""
        self._ended = time.monotonic()
        self._sending.request_stop()
        while not self._sending.ended:
            interrupts.wait(TICK_S)
            show(self.frame("ending"))
        self._raise_failures()
        moved_at, left = time.monotonic(), None
        moved_at, left = time.monotonic(), None
        with GroupLag(self._settings) as group:
            while time.monotonic() < moved_at + DRAIN_S:
                self._lag = group.by_topic([*USER_TOPICS, ITEMS])
                if not (total := sum(self._lag.values())):
                    break
                if left is None or total < left:
                    moved_at, left = time.monotonic(), total
                interrupts.wait(TICK_S)
                self._supervisor.check()
                show(self.frame("draining"))
        self._drained_s = time.monotonic() - self._ended
        self._watch.finish()
        self._meter.read_once()

    def checks(self) -> list[Check]:
        """Hold what came of the run against what was sent; call after `drain`."""
        # Asked first: what follows takes a while, in which the page stays open.
        answers = self._page.answers()
        visits = read_visits(self._settings) if self._page.posted() else Visits()
        sent, seen, broken = self._shop.sent, self._watch.seen, self._broken.sent
        labels = {event_id: sentiment.label for event_id, sentiment in seen.sentiments.items()}
        return [
            lag_drained(self._lag, self._drained_s),
            balance(
                sent.total + len(broken) + len(visits.places),
                self._meter.now.events - self._before,
                self._supervisor.restarts,
            ),
            broken_refused(
                {place: event.field for place, event in broken.items()},
                {place: letter.field for place, letter in seen.dead_letters.items() if place not in visits.places},
                [event.what for event in broken.values()],
            ),
            *stored_checks(self._settings, sent.without(visits.shoppers), Items(self._items), seen.sentiments),
            sentiment_learned(sent.moods, labels),
            no_crash(self._supervisor.restarts),
            page_answered(answers, self._page.address),
        ]

    def frame(self, doing: str, notes: tuple[str, ...] = ()) -> Frame:
        """Everything as it is now."""
        now = self._ended or time.monotonic()
        seen, reading = self._watch.seen, self._meter.now
        letter, trigger = seen.last_dead_letter, seen.last_trigger
        ready = {worker.pid for worker in self._supervisor.ready()}
        user_id, steps, propensities = self._story.snapshot()
        return Frame(
            seed=self._shop.seed,
            elapsed_s=now - self._started,
            seconds=self._seconds,
            doing=doing,
            shop_ms=self._shop.shop_ms,
            sent=self._shop.sent.total + len(self._broken.sent),
            sent_rates=self._sent_rates(),
            reading=reading,
            recent=self._meter.recent,
            overall=self._meter.overall,
            dead_letters=len(seen.dead_letters),
            last_dead_letter=f"{letter.topic}: {letter.reason}" if letter else "",
            triggers=seen.triggers.total(),
            last_trigger=f"{trigger.user_id} at {trigger.score:.2f}" if trigger else "",
            workers=tuple(WorkerLine(pid, pid in ready) for pid in self._supervisor.pids()),
            restarts=self._supervisor.restarts,
            kafka=self._settings.kafka,
            cassandra=self._settings.cassandra,
            page=self._page.address,
            followed=Followed(user_id, tuple(steps), tuple(propensities)),
            title=lambda item_id: self._titles.get(item_id, item_id),
            notes=notes,
        )

    def _sent_rates(self) -> tuple[float, ...]:
        now, sent = time.monotonic(), self._shop.sent.total
        before_s, before = self._rated
        if now - before_s >= 1.0 and self._ended is None:
            self._rates.append((sent - before) / (now - before_s))
            self._rated = (now, sent)
        return tuple(self._rates)

    def _warm_up(self) -> None:
        """The first seconds, in which Java compiles and caches fill, are left out of the overall figures."""
        if not self._warm and time.monotonic() >= self._started + min(WARM_UP_S, (self._seconds or WARM_UP_S * 3) / 3):
            self._warm = True
            self._meter.warmed_up()

    def _raise_failures(self) -> None:
        self._supervisor.check()
        for thread in (self._sending, self._watch):
            if thread.failure is not None:
                raise thread.failure
