"""Options of the command line to options of a source: words such as ``user=visitorid`` in, keyword arguments out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from feature_repo.sources.source import SourceError


def source_options(
    *,
    days: int | None = None,
    seed: int | None = None,
    column: Sequence[str] | None = None,
    action: Sequence[str] | None = None,
    time_unit: str | None = None,
) -> dict[str, Any]:
    """Give the keyword options for `open_source` that were named, those left out (None or empty) not among them.

    Parameters
    ----------
    days, seed
        Of the simulated shop.
    column
        Words ``ROLE=COLUMN`` for the sources `csv` and `parquet`.
    action
        Words ``VALUE=MEANING`` for the same.
    time_unit
        How they write times.

    Raises
    ------
    SourceError
        When a word of `column` or `action` has no equals sign, or says one thing twice.
    """
    options = {
        "days": days,
        "seed": seed,
        "columns": _pairs("--column", "ROLE=COLUMN", column or ()),
        "actions": _pairs("--action", "VALUE=MEANING", action or ()),
        "time_unit": time_unit,
    }
    return {name: value for name, value in options.items() if value not in (None, {})}


def _pairs(option: str, form: str, words: Sequence[str]) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals and value):
            raise SourceError(f"{option}: saw {word!r}, expected {form}")
        if name in pairs:
            raise SourceError(f"{option}: saw {name!r} twice, as {pairs[name]!r} and {value!r}, expected it once")
        pairs[name] = value
    return pairs
