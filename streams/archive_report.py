"""What an archiver has done since it was started, for people and programs."""

from __future__ import annotations

import msgspec


class TopicCounts(msgspec.Struct):
    """What an archiver has done of one topic; ``lag``: records on the broker that no file holds yet.

    ``missing``: offsets that the broker had deleted before they were archived.
    """

    records: int = 0
    files: int = 0
    lag: int = 0
    missing: int = 0


class Archived(msgspec.Struct):
    """What an archiver has done since it was started."""

    folder: str
    topics: dict[str, TopicCounts]
    seconds: float = 0.0

    @property
    def records(self) -> int:
        """Records written to files."""
        return sum(topic.records for topic in self.topics.values())

    @property
    def files(self) -> int:
        """Files written."""
        return sum(topic.files for topic in self.topics.values())

    @property
    def lag(self) -> int:
        """Records on the broker that no file holds yet."""
        return sum(topic.lag for topic in self.topics.values())
