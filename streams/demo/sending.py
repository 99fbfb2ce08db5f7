"""The replay of the demo's shop in a thread of its own."""

from __future__ import annotations

import threading

from streams.demo.shop import DemoShop
from streams.replay import Pace, Replayed, replay
from streams.settings import Settings

STOP_S = 30.0


class Sending:
    """Sends the catalogue, then events at a rate, until told to stop."""

    def __init__(self, shop: DemoShop, settings: Settings, rate: float) -> None:
        self.failure: Exception | None = None
        self.progress = Replayed(shop.name)
        self._shop, self._settings, self._pace = shop, settings, Pace(rate=rate)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="send events", daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether all that was sent is acknowledged, and nothing more will be sent."""
        return not self._thread.is_alive()

    def request_stop(self) -> None:
        """Send nothing more; `ended` says when."""
        self._stop.set()

    def close(self) -> None:
        """Stop and wait for the end."""
        self._stop.set()
        self._thread.join(STOP_S)

    def _run(self) -> None:
        try:
            self.progress = replay(self._shop, self._settings, self._pace, stop=self._stop.is_set)
        except Exception as error:  # noqa: BLE001 - the thread's edge: the main thread raises it again
            self.failure = error
