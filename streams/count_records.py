"""Records of the compacted topics ``item-counts`` and ``pair-counts``: keys in, bytes out, and the way back."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

import msgspec
from aiokafka import ConsumerRecord

from feature_repo.state import StateError

log = logging.getLogger(__name__)

Key = tuple[str, int]
"""Item and source partition."""

Counts = TypeVar("Counts")

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(tuple[str, int])


def encode_key(key: Key) -> bytes:
    """Key of a record."""
    return _encoder.encode(key)


def read_counts(record: ConsumerRecord, decode: Callable[[bytes], Counts]) -> tuple[Key, Counts] | None:
    """Key and counts of a record; None, and said in the log, for what is no count.

    That is another release's, or nobody's: a count less, where a worker that ends would end again at each start. A
    removed key is None too.
    """
    if record.value is None:
        return None
    try:
        return _decoder.decode(record.key), decode(record.value)
    except (StateError, msgspec.DecodeError) as error:
        log.error("%s-%d, offset %d: %s; left out", record.topic, record.partition, record.offset, error)
        return None
