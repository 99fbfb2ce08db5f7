"""Feature values of one view in, moment by moment; a Parquet file for Feast's offline store out.

Columns: the join key (string), ``event_timestamp`` (the moment) and ``created`` (when its last event was appended),
both UTC in ms, and the view's features as declared, float32 or string.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from feature_repo.archive.layout import ArchiveError
from feature_repo.declarations import Feature, FeatureRow

ROWS_A_GROUP = 20_000
TIME = pa.timestamp("ms", tz="UTC")
ARROW_TYPES = {"float32": pa.float32(), "string": pa.string()}


class _Moment(NamedTuple):
    """Values of one entity at one moment; times in ms since the epoch."""

    entity_id: str
    row: FeatureRow
    event_ms: int
    created_ms: int


def view_path(archive: Path, view: str) -> Path:
    """Where the values of a view stand in an archive."""
    return archive / "features" / f"{view}.parquet"


class ViewFile:
    """A file of feature values that takes the place of the one before when it is complete, and not at all otherwise.

    A context manager. Every entity's moments are put in their order; of those that are equal the last one counts.
    """

    def __init__(self, path: Path, join_key: str, declared: Sequence[Feature]) -> None:
        self._path, self._join_key, self._declared = path, join_key, declared
        self._unfinished = path.with_name(f".{path.name}.writing")
        self._schema = pa.schema(
            [
                (join_key, pa.string()),
                ("event_timestamp", TIME),
                ("created", TIME),
                *((feature.name, ARROW_TYPES[feature.dtype]) for feature in declared),
            ]
        )
        self._newest: dict[str, _Moment] = {}
        self._waiting: list[_Moment] = []
        self.rows = 0

    def put(self, entity_id: str, row: FeatureRow, event_ms: int, created_ms: int) -> None:
        """Note the values of an entity at ``event_ms``; those of an earlier moment are final now."""
        before = self._newest.get(entity_id)
        if before is not None and before.event_ms != event_ms:
            self._write(before)
        self._newest[entity_id] = _Moment(entity_id, row, event_ms, created_ms)

    def __enter__(self) -> Self:
        with self._clear_errors():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._unfinished.open("wb")
        self._writer = pq.ParquetWriter(self._file, self._schema, compression="zstd")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            with self._clear_errors():
                if kind is None:
                    for moment in self._newest.values():
                        self._write(moment)
                    self._write_group()
                self._writer.close()
                self._file.flush()
                os.fsync(self._file.fileno())
                if kind is None:
                    self._unfinished.replace(self._path)
        finally:
            self._file.close()
            self._unfinished.unlink(missing_ok=True)

    def _write(self, moment: _Moment) -> None:
        self._waiting.append(moment)
        self.rows += 1
        if len(self._waiting) >= ROWS_A_GROUP:
            self._write_group()

    def _write_group(self) -> None:
        if not self._waiting:
            return
        moments, self._waiting = self._waiting, []
        numbers = np.ascontiguousarray(np.stack([moment.row.numbers for moment in moments]).T)  # float32 [F, N]
        by_name = dict(zip(moments[0].row.names, numbers, strict=True))
        columns = {
            self._join_key: [moment.entity_id for moment in moments],
            "event_timestamp": [moment.event_ms for moment in moments],
            "created": [moment.created_ms for moment in moments],
        }
        for feature in self._declared:
            if feature.dtype == "float32":
                columns[feature.name] = by_name[feature.name]
            else:
                columns[feature.name] = [moment.row.texts[feature.name] for moment in moments]
        with self._clear_errors():
            self._writer.write_table(pa.table(columns, schema=self._schema))

    @contextmanager
    def _clear_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise ArchiveError(
                f"{self._path}: could not be written ({error}); mend the disk and run the command again"
            ) from error
