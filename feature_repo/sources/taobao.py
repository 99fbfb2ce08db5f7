"""Taobao user behaviour (Tianchi UserBehavior): a CSV comes in; favourites, carts and purchases go out.

From Alibaba's Tianchi platform, for research and non-commercial use. Two layouts are read: the published file, which
has no header (user, item, category, behaviour, seconds since the epoch), and files with the header
``ts,user,item,behavior``. Both hold 25 November to 3 December 2017, Beijing time. The published file has some rows of
other years; they are skipped. A page view (pv) and a favourite (fav) are clicks: a shopper who marks an item as a
favourite is on its page. The set has no prices and no titles.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from feature_repo.sources.fields import FieldError, id_of
from feature_repo.sources.row_log import Action, Row, RowLog, make_event
from feature_repo.sources.text_file import first_line, read_table

COLUMNS = ("ts", "user", "item", "behavior")
PUBLISHED_HEADER = ("user", "item", "category", "behavior", "ts")
ACTIONS: dict[str, Action] = {"pv": "click", "fav": "click", "cart": "add", "buy": "purchase"}
FIRST_MS = 1_511_539_200_000
"""2017-11-25 00:00 in Beijing."""
END_MS = 1_512_316_800_000
"""2017-12-04 00:00 in Beijing."""
OTHER_TIME = "not within the nine days of the set"


def taobao(path: Path) -> RowLog[list[str]]:
    """Open the file at `path`, plain or gzipped."""

    def read() -> Iterator[tuple[int, list[str]]]:
        if first_line(path)[:1].isdigit():
            return read_table(path, (*COLUMNS, "category"), header=PUBLISHED_HEADER)
        return read_table(path, COLUMNS)

    return RowLog("taobao", path, read, _row)


def _row(line: int, fields: list[str]) -> Row | str:
    seconds, user, item, behaviour = fields[:4]
    action = ACTIONS.get(behaviour)
    if action is None:
        raise FieldError("behavior", behaviour, f"one of {', '.join(ACTIONS)}")
    try:
        at_ms = int(seconds) * 1000
    except ValueError as error:
        raise FieldError("ts", seconds, "whole seconds since 1970") from error
    if not FIRST_MS <= at_ms < END_MS:
        return OTHER_TIME
    return Row(
        make_event(action, line=line, user_id=id_of("user", user), item_id=id_of("item", item), occurred_at_ms=at_ms),
        category=fields[4] if len(fields) > 4 else None,
    )
