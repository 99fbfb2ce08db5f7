"""The topics: settings in, topics that exist with the right partitions and limits out."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from kafka.admin import KafkaAdminClient, NewTopic
from kafka.errors import TopicAlreadyExistsError

from streams.settings import Settings

log = logging.getLogger(__name__)

USER_TOPICS = ("clicks", "carts", "reviews", "impressions")
"""Keyed by user_id. All have the same number of partitions, so one worker sees all events of a user."""

ITEMS = "items"
CATALOGUE = "catalogue"
"""Internal, compacted: an item with its text vector, read whole by every worker."""

ITEM_COUNTS = "item-counts"
"""Internal, compacted: counts of an item in one partition of the user topics, read whole by every worker."""

PAIR_COUNTS = "pair-counts"
"""Internal, compacted: partners of an item in one partition of the user topics, read whole by every worker."""

RELEASES = "releases"
"""Compacted: the bundle that every worker must serve, by the model's name (`streams.releases`)."""

RULES = "rules"
"""Compacted: the shop's business rules, by rule_id (`streams.rules`)."""

SCORES = "scores"
TRIGGERS = "triggers"
RECOMMENDATIONS = "recommendations"
DEAD_LETTERS = "dead-letters"

MAX_INPUT_BYTES = 8 * 1024 * 1024
"""Largest record accepted on an input topic. What is too large to be an event is dead-lettered, not refused,
so that the reason is on record."""

MAX_OUTPUT_BYTES = 15 * 1024 * 1024
"""Largest record on the dead letters: the original in base64 is a third longer."""


class TopicError(RuntimeError):
    """The topics on the broker cannot serve the flow: says which, what was seen and what to do."""


@dataclass(frozen=True)
class TopicSpec:
    """A topic as the flow needs it."""

    name: str
    compacted: bool = False
    max_bytes: int | None = None

    def config(self) -> dict[str, str]:
        """Topic-level settings on the broker."""
        # The broker's clock stamps each record: freshness is measured from there, and a producer's clock
        # cannot move the limit at which times from the future are clamped.
        config = {"message.timestamp.type": "LogAppendTime"}
        if self.compacted:
            config["cleanup.policy"] = "compact"
        if self.max_bytes:
            config["max.message.bytes"] = str(self.max_bytes)
        return config


TOPICS = (
    *(TopicSpec(name, max_bytes=MAX_INPUT_BYTES) for name in USER_TOPICS),
    TopicSpec(ITEMS, compacted=True, max_bytes=MAX_INPUT_BYTES),
    TopicSpec(CATALOGUE, compacted=True),
    TopicSpec(ITEM_COUNTS, compacted=True),
    TopicSpec(PAIR_COUNTS, compacted=True),
    TopicSpec(RELEASES, compacted=True),
    TopicSpec(RULES, compacted=True),
    TopicSpec(SCORES),
    TopicSpec(TRIGGERS),
    TopicSpec(RECOMMENDATIONS),
    TopicSpec(DEAD_LETTERS, max_bytes=MAX_OUTPUT_BYTES),
)


def create_topics(settings: Settings) -> dict[str, str]:
    """Create what is missing; check what is there.

    Returns
    -------
    dict of str to str
        The id that the broker gave each topic when it was created: a topic that was deleted and made again
        has another.

    Raises
    ------
    TopicError
        When the topics of users differ in their number of partitions.
    """
    admin = KafkaAdminClient(bootstrap_servers=settings.kafka.split(","), client_id="lastclick-topics")
    try:
        present = set(admin.list_topics())
        missing = [topic for topic in TOPICS if topic.name not in present]
        if missing:
            try:
                admin.create_topics(
                    [
                        NewTopic(
                            topic.name,
                            num_partitions=settings.partitions,
                            replication_factor=settings.replication_factor,
                            topic_configs=topic.config(),
                        )
                        for topic in missing
                    ],
                    timeout_ms=30_000,
                )
            except TopicAlreadyExistsError:
                log.info("another worker created the topics at the same moment")
            admin.wait_for_topics([topic.name for topic in TOPICS])
        described = {topic["name"]: topic for topic in admin.describe_topics([t.name for t in TOPICS])}
    finally:
        admin.close()
    alike = (*USER_TOPICS, SCORES, TRIGGERS, RECOMMENDATIONS, ITEMS, CATALOGUE)
    counts = {name: len(described[name]["partitions"]) for name in alike}
    if len(set(counts.values())) > 1:
        raise TopicError(
            f"partitions of the topics: saw {counts}, expected one number for all of them, because a user's "
            "events must all reach one worker, and what is said of them goes to the partition they came from; "
            "add partitions to those that have fewer"
        )
    return {name: str(topic["topic_id"]) for name, topic in described.items()}
