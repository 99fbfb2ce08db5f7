"""Path to rows: a text file, plain or gzipped, comes in; its lines or CSV rows with their line numbers go out.

What cannot be read is a `SourceError` that names the file, the line, what was seen and what was expected.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO, cast

from feature_repo.sources.source import SourceError

GZIP_MAGIC = b"\x1f\x8b"
DELIMITERS = ",\t;|"
MAX_SHOWN = 120
MEND = "mend or remove that line"


def open_bytes(path: Path) -> BinaryIO:
    """Open a file for reading, unpacked when its first bytes say gzip."""
    raw = path.open("rb")
    if raw.read(2) == GZIP_MAGIC:
        raw.close()
        return cast(BinaryIO, gzip.open(path, "rb"))
    raw.seek(0)
    return raw


def wrong_line(path: Path, line: int, problem: str, remedy: str = MEND) -> SourceError:
    """Make the error for line number `line` of a file; `problem` says what was seen and what was expected."""
    return SourceError(f"{path}, line {line}: {problem}; {remedy}")


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, line) of a UTF-8 text file, blank lines left out.

    Raises
    ------
    SourceError
        When the file is not whole, or not UTF-8.
    """
    with _open_text(path) as text:
        for line, content in enumerate(text, start=1):
            if not content.isspace():
                yield line, content


def first_line(path: Path) -> str:
    """Give the first line of a UTF-8 text file without its end; empty for an empty file."""
    with _open_text(path) as text:
        return text.readline().rstrip("\r\n")


def delimiter_of(path: Path) -> str:
    """Give the delimiter that is most frequent in the first line: a comma, tab, semicolon or bar."""
    line = first_line(path)
    return max(DELIMITERS, key=line.count)


def read_header(path: Path, delimiter: str = ",") -> list[str]:
    """Give the column names in the first line of a CSV file."""
    return [name.strip() for name in next(csv.reader([first_line(path)], delimiter=delimiter), [])]


def read_table(
    path: Path, columns: Sequence[str], *, delimiter: str = ",", header: Sequence[str] | None = None
) -> Iterator[tuple[int, list[str]]]:
    """Yield (line number, texts of `columns`) for each row of a CSV file in UTF-8; blank lines are no rows.

    Parameters
    ----------
    path
        CSV, plain or gzipped.
    columns
        Names of the columns to read, in the order wanted.
    delimiter
        Between two fields.
    header
        Names of all columns of a file that has no first line of names.

    Raises
    ------
    SourceError
        When a column is missing (the error names those that exist), a row is too short, or the file is not
        whole, not CSV or not UTF-8.
    """
    names = read_header(path, delimiter) if header is None else list(header)
    missing = [column for column in columns if column not in names]
    if missing:
        raise SourceError(f"{path} has no column {', '.join(map(repr, missing))}: its columns are {names}")
    positions = [names.index(column) for column in columns]
    needed = max(positions) + 1
    with _open_text(path) as text:
        reader = csv.reader(text, delimiter=delimiter)
        if header is None:
            next(reader, None)
        try:
            for row in reader:
                if len(row) >= needed:
                    yield reader.line_num, [row[position] for position in positions]
                elif row:
                    seen = delimiter.join(row)[:MAX_SHOWN]
                    raise wrong_line(
                        path,
                        reader.line_num,
                        f"saw {len(row)} fields in {seen!r}, expected at least {needed}: {', '.join(names)}",
                    )
        except csv.Error as error:
            raise wrong_line(path, reader.line_num, f"it is not CSV ({error})") from error


@contextmanager
def _open_text(path: Path) -> Iterator[TextIO]:
    try:
        with open_bytes(path) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text:
            yield text
    except UnicodeDecodeError as error:
        raise SourceError(
            f"cannot read {path} as UTF-8: {error}; convert it, for instance with `iconv -f latin1 -t utf-8`"
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"cannot read {path}: {error}; check that the file is whole, plain or gzipped") from error
