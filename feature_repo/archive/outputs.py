"""What workers have said of archived events: the archive in; scores of reviews and refused records out.

The replay needs both to give what was served: scores of review texts are taken in by `update`, and a record that was
refused for another reason than its content (native code died on it) is in no state.
"""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import msgspec

from feature_repo.archive.layout import ArchiveError
from feature_repo.archive.reading import read_records
from feature_repo.archive.records import ArchivedRecord
from feature_repo.offsets import Position

SCORES_TOPIC = "scores"
DEAD_LETTERS_TOPIC = "dead-letters"

Said = TypeVar("Said", bound=msgspec.Struct)


class ReviewScore(msgspec.Struct):
    """What a score of a review's text says that `update` needs."""

    kind: str
    caused_by: str
    value: float


class RefusedPlace(msgspec.Struct):
    """What a dead letter says of where its record stood."""

    topic: str
    partition: int
    offset: int


def read_sentiments(folder: Path) -> dict[str, float]:
    """Scores of review texts, -1 to 1, by event_id; the first one where a review was scored again."""
    sentiments: dict[str, float] = {}
    for record in read_records(folder, [SCORES_TOPIC]):
        if record.value is None or b'"sentiment"' not in record.value:
            continue
        score = _decode(record, record.value, ReviewScore)
        if score.kind == "sentiment":
            sentiments.setdefault(score.caused_by, score.value)
    return sentiments


def read_refused(folder: Path) -> set[Position]:
    """Where the records stood that ended as dead letters."""
    letters = (
        _decode(record, record.value, RefusedPlace)
        for record in read_records(folder, [DEAD_LETTERS_TOPIC])
        if record.value is not None
    )
    return {Position(letter.topic, letter.partition, letter.offset) for letter in letters}


def _decode(record: ArchivedRecord, value: bytes, kind: type[Said]) -> Said:
    try:
        return msgspec.json.decode(value, type=kind)
    except (ValueError, RecursionError) as error:
        raise ArchiveError(
            f"{record.topic}-{record.partition} offset {record.offset}: saw a record that no worker writes ({error}), "
            f"expected JSON with {', '.join(kind.__struct_fields__)}; does another program write to {record.topic}?"
        ) from error
