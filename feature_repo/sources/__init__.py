"""Log to events: a name and a path come in, a `Source` of catalogue items and events in event-time order goes out."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from feature_repo.sources.csv_log import csv_log
from feature_repo.sources.online_retail import OnlineRetail
from feature_repo.sources.options import source_options
from feature_repo.sources.rees46 import rees46
from feature_repo.sources.retailrocket import retailrocket
from feature_repo.sources.sequences import sequences
from feature_repo.sources.shop import Shop
from feature_repo.sources.source import Source, SourceError
from feature_repo.sources.taobao import taobao

__all__ = ["SOURCES", "Source", "SourceError", "open_source", "source_options"]


Opener = Callable[..., Source]


def _of_file(name: str, open_file: Opener) -> Opener:
    return lambda path, **options: open_file(_readable(name, path), **options)


def _open_parquet(path: Path | None, **options: Any) -> Source:
    # pyarrow takes a third of a second and 40 MB: only who reads Parquet pays for it.
    from feature_repo.sources.parquet_log import parquet_log

    return parquet_log(_readable("parquet", path), **options)


def _open_archive(path: Path | None) -> Source:
    # pyarrow takes a third of a second and 40 MB: only who reads Parquet pays for it.
    from feature_repo.sources.archive import open_archive

    return open_archive(path)


def _open_shop(path: Path | None, **options: Any) -> Source:
    if path is not None:
        raise SourceError(f"source 'shop' is simulated and reads no file, but was given {path}: leave the path out")
    return Shop(**options)


SOURCES: dict[str, Opener] = {
    "archive": _open_archive,
    "csv": _of_file("csv", csv_log),
    "online-retail": _of_file("online-retail", OnlineRetail),
    "parquet": _open_parquet,
    "rees46": _of_file("rees46", rees46),
    "retailrocket": _of_file("retailrocket", retailrocket),
    "sequences": _of_file("sequences", sequences),
    "shop": _open_shop,
    "taobao": _of_file("taobao", taobao),
}
"""Openers by name; each takes the path (or None) and the source's own keyword options."""


def open_source(name: str, path: Path | str | None = None, **options: Any) -> Source:
    """Open the source called `name`.

    Parameters
    ----------
    name
        A key of `SOURCES`.
    path
        The log's file, for a source that reads one.
    **options
        Keyword options of the source, such as `seed` and `days` of the simulated shop; see `source_options`.

    Raises
    ------
    SourceError
        The name is unknown, the path is missing or unreadable, or an option is not one of the source's.
    """
    opener = SOURCES.get(name)
    if opener is None:
        raise SourceError(f"unknown source {name!r}: expected one of {', '.join(sorted(SOURCES))}")
    try:
        return opener(None if path is None else Path(path), **options)
    except TypeError as error:
        raise SourceError(f"source {name!r} cannot take these options {sorted(options)}: {error}") from error


def _readable(name: str, path: Path | None) -> Path:
    if path is None:
        raise SourceError(f"source {name!r} reads a file, but no path was given: name the file")
    if not path.exists():
        raise SourceError(f"source {name!r} cannot read {path}: there is no such file")
    if not path.is_file() or not os.access(path, os.R_OK):
        raise SourceError(f"source {name!r} cannot read {path}: it is not a readable file")
    return path
