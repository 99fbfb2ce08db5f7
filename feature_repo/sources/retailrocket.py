"""The Retailrocket set: its events.csv comes in; views, carts and purchases go out.

"Retailrocket recommender system dataset" (Kaggle, CC BY-NC-SA 4.0): timestamp (ms), visitorid, event, itemid,
transactionid. The files item_properties_part1.csv and _part2.csv are read where they lie beside it, plain or gzipped:
an item's category is its earliest `categoryid`. All other properties are hashed, so there are no titles and no prices.
The file is not in order of time, and is sorted.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

from feature_repo.sources.fields import FieldError, id_of, milliseconds_of
from feature_repo.sources.row_log import Action, Row, RowLog, make_event
from feature_repo.sources.text_file import read_table, wrong_line

COLUMNS = ("timestamp", "visitorid", "event", "itemid")
PROPERTY_COLUMNS = ("timestamp", "itemid", "property", "value")
PROPERTY_FILES = "item_properties_part*.csv*"
ACTIONS: dict[str, Action] = {"view": "click", "addtocart": "add", "transaction": "purchase"}


def retailrocket(path: Path) -> RowLog[list[str]]:
    """Open the events at `path`, plain or gzipped."""
    categories = cache(lambda: _categories(path.parent))
    return RowLog(
        "retailrocket", path, lambda: read_table(path, COLUMNS), lambda line, fields: _row(line, fields, categories())
    )


def _row(line: int, fields: list[str], categories: dict[str, str]) -> Row:
    timestamp, visitor, event, item = fields
    action = ACTIONS.get(event)
    if action is None:
        raise FieldError("event", event, f"one of {', '.join(ACTIONS)}")
    item_id = id_of("itemid", item)
    return Row(
        make_event(
            action,
            line=line,
            user_id=id_of("visitorid", visitor),
            item_id=item_id,
            occurred_at_ms=milliseconds_of("timestamp", timestamp, "ms"),
        ),
        category=categories.get(item_id),
    )


def _categories(folder: Path) -> dict[str, str]:
    """Give the earliest category of each item that the property files in `folder` name; empty without such files."""
    earliest: dict[str, tuple[int, str]] = {}
    for path in sorted(folder.glob(PROPERTY_FILES)):
        for line, (timestamp, item_id, name, value) in read_table(path, PROPERTY_COLUMNS):
            if name != "categoryid":
                continue
            if not timestamp.isdigit():
                raise wrong_line(path, line, f"timestamp: saw {timestamp!r}, expected whole milliseconds since 1970")
            found = (int(timestamp), value)
            earliest[item_id] = min(found, earliest.get(item_id, found))
    return {item_id: category for item_id, (_, category) in earliest.items()}
