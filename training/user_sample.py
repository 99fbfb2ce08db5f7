"""A source and a share in; the same source with that share of its users, out: so that a large log can be measured.

Users are drawn by a hash of their ids: the same ones each time, whatever else the log holds, and whole, so that the
features of those who are drawn are what they are on the whole log.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator

from feature_repo.events import Event, Item
from feature_repo.sources import Source

_BYTES = 8


class UserSample:
    """The events of a share of a source's users, and all of its items.

    Parameters
    ----------
    source
        What to draw from.
    share
        Of the users, above 0 and at most 1.
    """

    def __init__(self, source: Source, share: float) -> None:
        self._source = source
        self._below = share * 2.0 ** (8 * _BYTES)

    @property
    def name(self) -> str:
        """Name of the source."""
        return self._source.name

    @property
    def skipped(self) -> Counter[str]:
        """Rows of the source that became no event, those of other users included."""
        return self._source.skipped

    def items(self) -> Iterator[Item]:
        """Yield the source's items."""
        return self._source.items()

    def events(self) -> Iterator[tuple[str, Event]]:
        """Yield the events of the users who are drawn."""
        for topic, event in self._source.events():
            if self._drawn(event.user_id):
                yield topic, event

    def count(self) -> None:
        """Say that the number of events is not known before they are read."""

    def _drawn(self, user_id: str) -> bool:
        digest = hashlib.blake2b(user_id.encode(), digest_size=_BYTES).digest()
        return int.from_bytes(digest) < self._below
