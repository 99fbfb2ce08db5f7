"""What an archive's files hold: records in; an Arrow table out, and back.

Key, value and headers are kept byte by byte, whatever they are. Columns of the event they make, if they make one, stand
beside them for those who query. Topic and day are in the path, as is the custom of Hive's layout.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pyarrow as pa

from feature_repo.events import TOPICS, Cart, Click, DecodeError, Event, Review, decode_event

Headers = tuple[tuple[str, bytes | None], ...]

SCHEMA = pa.schema(
    [
        pa.field("partition", pa.int32(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        # By the broker's clock where the topic says so, as those that workers make do. Times are integers of
        # milliseconds since the epoch, as everywhere in the contract.
        pa.field("appended_at_ms", pa.int64(), nullable=False),
        pa.field("key", pa.binary()),
        pa.field("value", pa.binary()),
        pa.field("headers", pa.list_(pa.struct([("key", pa.string()), ("value", pa.binary())])), nullable=False),
        # Null when the record is no event of the contract, and on topics that hold none.
        pa.field("event_id", pa.string()),
        pa.field("user_id", pa.string()),
        pa.field("item_id", pa.string()),
        pa.field("occurred_at_ms", pa.int64()),
    ]
)
RAW = ("partition", "offset", "appended_at_ms", "key", "value", "headers")
"""The columns that a record is made of again."""


class ArchivedRecord(NamedTuple):
    """A record as Kafka held it; ``appended_at_ms`` in ms since the epoch."""

    topic: str
    partition: int
    offset: int
    appended_at_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


def table_of(records: Sequence[ArchivedRecord]) -> pa.Table:
    """Make the table of records of one topic, in `SCHEMA`, their order kept."""
    events = [_event_of(record) for record in records]
    columns = {
        "partition": [record.partition for record in records],
        "offset": [record.offset for record in records],
        "appended_at_ms": [record.appended_at_ms for record in records],
        "key": [record.key for record in records],
        "value": [record.value for record in records],
        "headers": [[{"key": key, "value": value} for key, value in record.headers] for record in records],
        "event_id": [event and event.event_id for event in events],
        "user_id": [event and event.user_id for event in events],
        "item_id": [event.item_id if isinstance(event, Click | Cart | Review) else None for event in events],
        "occurred_at_ms": [event and event.occurred_at_ms for event in events],
    }
    return pa.table(columns, schema=SCHEMA)


def records_of(topic: str, batch: pa.RecordBatch) -> Iterator[ArchivedRecord]:
    """Yield the records of a batch of the columns `RAW`."""
    for partition, offset, appended_at_ms, key, value, headers in zip(
        *(batch.column(name).to_pylist() for name in RAW), strict=True
    ):
        kept = tuple((header["key"], header["value"]) for header in headers) if headers else ()
        yield ArchivedRecord(topic, partition, offset, appended_at_ms, key, value, kept)


def _event_of(record: ArchivedRecord) -> Event | None:
    if record.topic not in TOPICS:
        return None
    try:
        return decode_event(record.topic, record.key, record.value, record.appended_at_ms).event
    except DecodeError:
        return None  # kept as it is; the workers have sent a dead letter that says why
