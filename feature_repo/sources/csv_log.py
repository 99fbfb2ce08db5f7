"""Anybody's CSV log: a file with a header and a mapping of its columns come in; clicks and cart events go out.

The file is in UTF-8, plain or gzipped; fields are parted by what is most frequent in its first line: commas, tabs,
semicolons or bars. The file's licence is its owner's matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

from feature_repo.sources.column_mapping import ColumnMapping, map_columns
from feature_repo.sources.row_log import RowLog
from feature_repo.sources.text_file import delimiter_of, read_header, read_table


def csv_log(
    path: Path,
    *,
    columns: Mapping[str, str] | None = None,
    actions: Mapping[str, str] | None = None,
    time_unit: str = "ms",
) -> RowLog[list[str]]:
    """Open the file at `path`; the options are those of `map_columns`."""
    delimiter = cache(lambda: delimiter_of(path))

    @cache
    def mapping() -> ColumnMapping:
        return map_columns(path, read_header(path, delimiter()), columns, actions, time_unit)

    def read() -> Iterator[tuple[int, list[str]]]:
        return read_table(path, mapping().columns, delimiter=delimiter())

    return RowLog("csv", path, read, lambda line, fields: mapping().row_of(line, fields))
