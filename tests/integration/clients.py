"""Independent clients: plain kafka-python and cassandra-driver with the contract's JSON, and nothing of the product."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.policies import RoundRobinPolicy
from kafka import KafkaConsumer, KafkaProducer, TopicPartition

from tests.waiting import wait_until

Document = dict[str, Any]

RUN = uuid.uuid4().hex[:8]
"""In all ids, so that what earlier runs left on the same servers makes no difference."""


def user(name: str) -> str:
    return f"{RUN}-{name}"


def new_item_id() -> str:
    """Id of an item that no model knows."""
    return f"{RUN}-{uuid.uuid4().hex[:12]}"


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def click(user_id: str, item_id: str, **fields: Any) -> Document:
    return _event(user_id, fields, item_id=item_id)


def cart(user_id: str, item_id: str, action: str, **fields: Any) -> Document:
    return _event(user_id, fields, item_id=item_id, action=action, quantity=1, unit_price=9.5)


def review(user_id: str, item_id: str, text: str, **fields: Any) -> Document:
    return _event(user_id, fields, item_id=item_id, text=text)


def impression(user_id: str, item_ids: list[str], **fields: Any) -> Document:
    return _event(user_id, fields, list_id="shown-1", item_ids=item_ids)


def _event(user_id: str, fields: Document, **defaults: Any) -> Document:
    return {"event_id": uuid.uuid4().hex, "user_id": user_id, **defaults, "occurred_at_ms": now_ms(), **fields}


class Sender:
    """Sends events and items, and returns when the broker has them."""

    def __init__(self, kafka: str) -> None:
        self._producer = KafkaProducer(bootstrap_servers=kafka, max_request_size=8_000_000)

    def send(self, topic: str, event: Document) -> Document:
        """Send an event under its user's key; returns it."""
        self.send_bytes(topic, event["user_id"].encode(), json.dumps(event).encode())
        return event

    def send_item(self, item_id: str, item: Document | None) -> None:
        """Publish an item, or remove it."""
        self.send_bytes("items", item_id.encode(), None if item is None else json.dumps(item).encode())

    def send_bytes(self, topic: str, key: bytes | None, value: bytes | None) -> tuple[int, int]:
        """Send a record as it is; returns its partition and offset."""
        sent = self._producer.send(topic, key=key, value=value).get(timeout=30)
        return sent.partition, sent.offset

    def post(self, topic: str, event: Document) -> None:
        """Send an event without waiting for the broker; `flush` waits for all."""
        self._producer.send(topic, key=event["user_id"].encode(), value=json.dumps(event).encode())

    def post_item(self, item_id: str, item: Document | None) -> None:
        """Publish or remove an item without waiting for the broker."""
        self._producer.send("items", key=item_id.encode(), value=None if item is None else json.dumps(item).encode())

    def flush(self) -> None:
        self._producer.flush()

    def close(self) -> None:
        self._producer.close()


class Tail:
    """Reads an output topic from where it ends when this is made."""

    def __init__(self, kafka: str, topic: str) -> None:
        self._consumer = KafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False, auto_offset_reset="earliest")
        partitions = wait_until(lambda: self._consumer.partitions_for_topic(topic), 30, f"partitions of {topic}")
        self._consumer.assign([TopicPartition(topic, partition) for partition in partitions])
        self._consumer.seek_to_end()
        for assigned in self._consumer.assignment():
            self._consumer.position(assigned)
        self._topic = topic
        self.seen: list[Document] = []

    def all_of(self, wanted: Callable[[Document], bool]) -> list[Document]:
        """Return what is wanted of all that is on the topic by now."""
        ends = self._consumer.end_offsets(list(self._consumer.assignment()))
        while any(self._consumer.position(partition) < end for partition, end in ends.items()):
            for records in self._consumer.poll(timeout_ms=100).values():
                self.seen.extend({"key": record.key, **json.loads(record.value)} for record in records)
        return [document for document in self.seen if wanted(document)]

    def first(self, wanted: Callable[[Document], bool], seconds: float = 30) -> Document:
        """Wait for the first document that is wanted."""
        return wait_until(lambda: self.all_of(wanted), seconds, f"a message on {self._topic}")[0]

    def close(self) -> None:
        self._consumer.close()


class Storefront:
    """Reads lists with plain CQL."""

    def __init__(self, cassandra: str, keyspace: str) -> None:
        host, _, port = cassandra.split(",")[0].rpartition(":")
        profile = ExecutionProfile(load_balancing_policy=RoundRobinPolicy(), request_timeout=30)
        self._cluster = Cluster(
            [host], port=int(port), execution_profiles={EXEC_PROFILE_DEFAULT: profile}, protocol_version=5
        )
        self._session = self._cluster.connect()
        self.keyspace = keyspace

    def rows(self, statement: str, arguments: tuple[Any, ...] = ()) -> list[Any]:
        """Rows of a SELECT; ``{keyspace}`` stands for the keyspace."""
        return list(self._session.execute(statement.format(keyspace=self.keyspace), arguments))

    def row_of(self, user_id: str) -> Any:
        """The user's row in the scene ``home``, or None."""
        rows = self.rows(
            "SELECT * FROM {keyspace}.recommendations WHERE user_id = %s AND scene = 'home'",
            (user_id,),
        )
        return rows[0] if rows else None

    def list_of(self, user_id: str) -> list[str]:
        """Item ids of the user's list; empty when there is none."""
        row = self.row_of(user_id)
        return [] if row is None else [item.item_id for item in row.items]

    def row_caused_by(self, event: Document, seconds: float = 90) -> Any:
        """Wait until the user's row was caused by this event, and return it."""

        def caused() -> Any:
            row = self.row_of(event["user_id"])
            return row if row is not None and row.caused_by == event["event_id"] else None

        return wait_until(caused, seconds, f"a list of {event['user_id']} caused by {event['event_id']}", 0.02)

    def popular(self) -> list[str]:
        """Item ids of the list for those who have none."""
        rows = self.rows("SELECT * FROM {keyspace}.item_lists WHERE scene = 'popular' AND key = ''")
        return [item.item_id for item in rows[0].items] if rows else []

    def close(self) -> None:
        self._cluster.shutdown()
