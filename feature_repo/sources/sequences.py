"""Sequences of items: one user a line comes in (id, then items in order); clicks with made-up times go out.

The format of the Amazon review sequences that papers on next-item prediction share (S3-Rec, ICLRec; for research).
Fields are parted by blanks. Such files have no times, so **times are made up**: each user takes one step a day, and
all users take their last step on the same, last day, so that holding that day out is leave-one-out. Within a day users
follow in the file's order. Times are strictly increasing, no two events share one; nothing can be learned from them.
Every event is a click, and an item is called by its id.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from feature_repo.sources.fields import id_of
from feature_repo.sources.row_log import Row, RowLog, make_event
from feature_repo.sources.source import SourceError
from feature_repo.sources.text_file import read_lines, wrong_line

START_MS = 1_577_836_800_000
"""2020-01-01, the made-up first day."""
DAY_MS = 86_400_000


class Step(NamedTuple):
    """One item of a user's line, and its made-up time."""

    user_id: str
    item_id: str
    occurred_at_ms: int


def sequences(path: Path) -> RowLog[Step]:
    """Open the file at `path`, plain or gzipped."""
    return RowLog("sequences", path, lambda: _steps(path), _row)


def _row(line: int, step: Step) -> Row:
    return Row(
        make_event(
            "click",
            line=line,
            user_id=id_of("user", step.user_id),
            item_id=id_of("item", step.item_id),
            occurred_at_ms=step.occurred_at_ms,
        )
    )


def _steps(path: Path) -> Iterator[tuple[int, Step]]:
    line_of_user: dict[str, int] = {}
    longest = 0
    for line, text in read_lines(path):
        user_id, *items = text.split()
        if not items:
            raise wrong_line(path, line, f"saw {text.strip()!r} alone, expected a user's id and items between blanks")
        if user_id in line_of_user:
            raise SourceError(
                f"{path}, line {line}: user {user_id!r} came before, on line {line_of_user[user_id]}; expected each "
                "user on one line: join these lines, or, if lines hold items alone, put an id before each"
            )
        line_of_user[user_id] = line
        longest = max(longest, len(items))
    if len(line_of_user) > DAY_MS:
        raise SourceError(f"{path}: saw {len(line_of_user)} users, expected at most {DAY_MS}: split the file")
    for place, (line, text) in enumerate(read_lines(path)):
        user_id, *items = text.split()
        of_day_ms = place * DAY_MS // len(line_of_user)
        for step, item_id in enumerate(items, start=longest - len(items)):
            yield line, Step(user_id, item_id, START_MS + step * DAY_MS + of_day_ms)
