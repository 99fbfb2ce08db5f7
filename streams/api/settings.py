"""Settings of the API alone: environment variables in, one checked value object out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from streams.settings import SettingsError, read_fields

PREFIX = "LASTCLICK_API_"


@dataclass(frozen=True)
class ApiSettings:
    """What `lastclick serve` needs beside `streams.settings.Settings`.

    Each field is read from the environment variable ``LASTCLICK_API_<FIELD IN CAPITALS>``.
    """

    keys: str = ""
    """File of hashed API keys, made with `lastclick api-key new`; without one everything is open, on loopback only."""

    origins: str = ""
    """Origins of pages that may call the API from a browser (CORS), separated by commas; ``*`` for all."""

    rate: float = 2_000.0
    """Requests per second that one key may make; 0 for no limit. Without keys nothing is limited."""

    burst: int = 4_000
    """Requests that one key may make at once, after a pause."""

    event_time: str = "clock"
    """When a posted event happened: ``clock``, when it says; ``stream``, at the newest event's time, for a page beside
    a replayed or simulated shop, in which it is another day."""

    read_deadline_ms: float = 100.0
    """Milliseconds that a list is waited for in Cassandra, before the answer falls back."""

    collect_deadline_ms: float = 5_000.0
    """Milliseconds that the broker's acknowledgement of an event is waited for."""

    stale_after_s: float = 86_400.0
    """Seconds after which a list is marked as stale."""

    kept_lists: int = 10_000
    """Lists kept in memory, about 5 kB each: for stable paging, and for when Cassandra is away."""

    kept_s: float = 600.0
    """Seconds for which a list that is no longer current can be paged through."""

    body_max_bytes: int = 4 * 1024 * 1024
    """Largest body of a request."""

    streams_max: int = 2_000
    """Most clients that listen to changes at once."""

    slow_ms: float = 250.0
    """Milliseconds past which a request is logged even when nothing is wrong with it."""

    @property
    def allowed_origins(self) -> list[str]:
        """The origins, each by itself."""
        return [origin.strip() for origin in self.origins.split(",") if origin.strip()]

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> ApiSettings:
        """Read the settings and check them.

        Raises
        ------
        SettingsError
            Naming the variable, the value seen and what was expected.
        """
        settings = cls(**read_fields(cls, PREFIX, os.environ if environment is None else environment))
        settings._check()
        return settings

    def _check(self) -> None:
        rules = [
            ("rate", self.rate >= 0, "at least 0 requests per second"),
            ("event_time", self.event_time in ("clock", "stream"), "clock or stream"),
            ("burst", self.burst >= 1, "at least 1"),
            ("read_deadline_ms", self.read_deadline_ms > 0, "more than 0 ms"),
            ("collect_deadline_ms", self.collect_deadline_ms > 0, "more than 0 ms"),
            ("stale_after_s", self.stale_after_s > 0, "more than 0 seconds"),
            ("kept_lists", self.kept_lists >= 1, "at least 1"),
            ("kept_s", self.kept_s >= 0, "at least 0 seconds"),
            ("body_max_bytes", self.body_max_bytes >= 1_024, "at least 1024 bytes"),
            ("streams_max", self.streams_max >= 1, "at least 1"),
            ("slow_ms", self.slow_ms >= 0, "at least 0 ms"),
        ]
        for name, holds, expected in rules:
            if not holds:
                raise SettingsError(f"{PREFIX}{name.upper()}: saw {getattr(self, name)!r}, expected {expected}")
