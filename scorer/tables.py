"""Arrays of one ``.npz`` file: a path in, arrays by name out, or one error whatever is wrong with the file."""

from __future__ import annotations

import struct
import sys
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

# What zipfile, zlib and numpy's header parser raise on bytes that a fuzzer made (`tests.fuzz.fuzz_bundle`).
_UNREADABLE = (
    ArithmeticError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


class TablesError(ValueError):
    """A file of arrays could not be read."""


def read_tables(path: Path) -> dict[str, NDArray[Any]]:
    """Read all arrays of an ``.npz`` file. Pickled objects are refused.

    Raises
    ------
    TablesError
        When it is no such file, or one of its members is no array.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            tables = {name: archive[name] for name in archive.files}
    except _UNREADABLE as error:
        raise TablesError(f"{type(error).__name__}: {error}") from error
    for name, table in tables.items():
        if not isinstance(table, np.ndarray):
            raise TablesError(f"member {name!r} is no array")
        if table.dtype.kind == "U" and table.nbytes:
            codes = np.frombuffer(table.astype(table.dtype.newbyteorder("=")).tobytes(), np.uint32)
            if codes.max() > sys.maxunicode:
                raise TablesError(f"member {name!r} holds {codes.max():#x} as a character")
    return tables
