"""How far the workers are behind: the broker's view of the group in, records not yet committed by topic out."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

from kafka import TopicPartition
from kafka.admin import KafkaAdminClient, OffsetSpec
from kafka.errors import CoordinatorLoadInProgressError, CoordinatorNotAvailableError, NotCoordinatorError

from streams.settings import Settings

COORDINATOR_ATTEMPTS = 50
COORDINATOR_WAIT_S = 0.2


class GroupLag:
    """Asks the broker about the workers' group; a context manager that closes its connection."""

    def __init__(self, settings: Settings) -> None:
        self._group = settings.group
        self._admin = KafkaAdminClient(bootstrap_servers=settings.kafka.split(","), client_id="lastclick-lag")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def members(self) -> int:
        """Workers that the group has now."""
        described = _when_coordinated(lambda: self._admin.describe_groups([self._group]))
        return sum(len(group["members"]) for group in described.values())

    def by_topic(self, topics: Sequence[str]) -> dict[str, int]:
        """Records on each topic that the group has not committed."""
        committed = self.committed(topics)
        ends = self._admin.list_partition_offsets(dict.fromkeys(committed, OffsetSpec.LATEST))
        lags = dict.fromkeys(topics, 0)
        for partition, end in ends.items():
            lags[partition.topic] += max(0, end.offset - committed[partition])
        return lags

    def committed(self, topics: Sequence[str]) -> dict[TopicPartition, int]:
        """Offset up to which the group has committed, by partition of the topics; 0 where it has committed none."""
        partitions = self._partitions(topics)
        found = _when_coordinated(lambda: self._admin.list_group_offsets({self._group: partitions}))[self._group]
        return {each: max(0, found[each].offset) if each in found else 0 for each in partitions}

    def _partitions(self, topics: Sequence[str]) -> list[TopicPartition]:
        return [
            TopicPartition(topic["name"], partition["partition_index"])
            for topic in self._admin.describe_topics(list(topics))
            for partition in topic["partitions"]
        ]

    def close(self) -> None:
        """Close the connection."""
        self._admin.close()


def _when_coordinated(call: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Result of ``call``; a broker that has just started makes its group coordinator at the first question."""
    for _attempt in range(COORDINATOR_ATTEMPTS):
        try:
            return call()
        except (CoordinatorNotAvailableError, NotCoordinatorError, CoordinatorLoadInProgressError):
            time.sleep(COORDINATOR_WAIT_S)
    return call()
