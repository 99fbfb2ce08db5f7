"""How often one key may ask: requests in; the seconds to wait out, none while its bucket has tokens."""

from __future__ import annotations

import time
from collections.abc import Callable


class TokenBuckets:
    """A bucket of tokens for each name: ``rate`` a second flow in, up to ``burst``; a request takes one."""

    def __init__(self, rate: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._burst, self._clock = rate, float(burst), clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, name: str) -> float:
        """Take a token; returns seconds until there is one, 0 when it was taken."""
        now = self._clock()
        tokens, at = self._buckets.get(name, (self._burst, now))
        tokens = min(self._burst, tokens + (now - at) * self._rate)
        taken = tokens >= 1
        self._buckets[name] = (tokens - 1 if taken else tokens, now)
        return 0.0 if taken else (1 - tokens) / self._rate
