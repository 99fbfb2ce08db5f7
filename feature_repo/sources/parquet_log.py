"""Anybody's Parquet log: a file and a mapping of its columns come in; clicks and cart events go out.

Read by row groups, so the file does not have to fit into memory. Line numbers in errors are row numbers from 1. A
column of Parquet's own time type needs no time unit. The file's licence is its owner's matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

import pyarrow
import pyarrow.parquet

from feature_repo.sources.column_mapping import ColumnMapping, map_columns
from feature_repo.sources.row_log import RowLog
from feature_repo.sources.source import SourceError

ROWS_AT_ONCE = 16_384


def parquet_log(
    path: Path,
    *,
    columns: Mapping[str, str] | None = None,
    actions: Mapping[str, str] | None = None,
    time_unit: str = "ms",
) -> RowLog[list[str]]:
    """Open the file at `path`; the options are those of `map_columns`."""

    @cache
    def mapping() -> ColumnMapping:
        schema = _schema(path)
        found = map_columns(path, schema.names, columns, actions, time_unit)
        if pyarrow.types.is_temporal(schema.field(found.columns[found.places["time"]]).type):
            return replace(found, time_unit="iso")
        return found

    def read() -> Iterator[tuple[int, list[str]]]:
        return _rows(path, mapping().columns)

    return RowLog("parquet", path, read, lambda line, fields: mapping().row_of(line, fields))


def _schema(path: Path) -> pyarrow.Schema:
    try:
        return pyarrow.parquet.read_schema(path)
    except (OSError, pyarrow.ArrowException) as error:
        raise SourceError(f"cannot read {path} as Parquet: {error}; check that the file is whole") from error


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, list[str]]]:
    row = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(ROWS_AT_ONCE, columns=list(columns)):
                texts = [batch.column(name).cast(pyarrow.string()).to_pylist() for name in columns]
                for fields in zip(*texts, strict=True):
                    row += 1
                    yield row, [text or "" for text in fields]
    except (OSError, pyarrow.ArrowException) as error:
        raise SourceError(
            f"cannot read {path} after row {row}: {error}; check that the file is whole and its columns are texts, "
            "numbers or times"
        ) from error
