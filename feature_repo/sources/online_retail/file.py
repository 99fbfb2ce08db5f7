"""Path to rows: a CSV file, plain or gzipped, comes in; rows of the eight columns' text go out."""

from __future__ import annotations

import codecs
import csv
import io
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from feature_repo.sources.source import SourceError
from feature_repo.sources.text_file import open_bytes

COLUMNS: dict[str, tuple[str, ...]] = {
    "invoice": ("invoiceno", "invoice"),
    "stock code": ("stockcode",),
    "description": ("description",),
    "quantity": ("quantity",),
    "date": ("invoicedate",),
    "price": ("unitprice", "price"),
    "customer": ("customerid",),
}
"""The columns that are read and their spellings, compared in lower case without spaces and underscores."""

CHUNK_BYTES = 1 << 20


class RawRow(NamedTuple):
    """The text of one row, not yet stripped or checked."""

    invoice: str
    stock_code: str
    description: str
    quantity: str
    date: str
    price: str
    customer: str


def read_rows(path: Path, encoding: str) -> Iterator[RawRow | str]:
    """Yield each row of the file, or the reason (a str) for which it cannot be split into its columns.

    Blank lines are no rows. Raises SourceError when the header lacks a column or the file cannot be read.
    """
    try:
        with open_bytes(path) as raw, io.TextIOWrapper(raw, encoding=encoding, newline="") as text:
            reader = csv.reader(text)
            positions = _positions(path, next(reader, []))
            needed = max(positions) + 1
            first, second, third, fourth, fifth, sixth, seventh = positions
            while True:
                try:
                    row = next(reader)
                except StopIteration:
                    return
                except csv.Error:
                    yield "not CSV"
                    continue
                if len(row) >= needed:
                    yield RawRow(row[first], row[second], row[third], row[fourth], row[fifth], row[sixth], row[seventh])
                elif row:
                    yield "missing columns"
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"cannot read {path}: {error}; check that the file is whole, CSV or gzipped CSV") from error


def encoding_of(path: Path) -> str:
    """Return 'utf-8-sig' when the whole file is UTF-8, else 'latin-1' (the spelling of the file on Kaggle)."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        with open_bytes(path) as raw:
            while chunk := raw.read(CHUNK_BYTES):
                decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return "latin-1"
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(f"cannot read {path}: {error}; check that the file is whole, CSV or gzipped CSV") from error
    return "utf-8-sig"


def _positions(path: Path, header: list[str]) -> list[int]:
    names = [name.strip().lower().replace(" ", "").replace("_", "") for name in header]
    positions = []
    for column, spellings in COLUMNS.items():
        found = next((names.index(spelling) for spelling in spellings if spelling in names), None)
        if found is None:
            raise SourceError(
                f"{path} has no column for the {column}: its first line is {header}, expected one of"
                f" {', '.join(spellings)} (any case, spaces ignored); is this the Online Retail file?"
            )
        positions.append(found)
    return positions
