"""Columns of anybody's log to events: column names and a mapping come in; the columns to read, and rows, go out.

The mapping says which column holds what (`columns`, by role), what the values of the action column mean (`actions`)
and how times are written (`time_unit`). A role that the mapping leaves out is the column of one of its usual names,
where there is one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from feature_repo.sources.fields import (
    MAX_TITLE,
    TIME_UNITS,
    FieldError,
    id_of,
    milliseconds_of,
    name_of,
    price_of,
    quantity_of,
)
from feature_repo.sources.row_log import Action, Row, make_event
from feature_repo.sources.source import SourceError

USUAL_NAMES: dict[str, tuple[str, ...]] = {
    "user": ("user", "user_id", "userid", "visitorid", "customer_id"),
    "item": ("item", "item_id", "itemid", "product_id"),
    "time": ("time", "timestamp", "ts", "occurred_at_ms", "event_time"),
    "action": ("action", "event", "event_type", "behavior"),
    "price": ("price", "unit_price"),
    "quantity": ("quantity",),
    "session": ("session", "session_id", "user_session"),
    "title": ("title",),
    "category": ("category", "category_code"),
    "brand": ("brand",),
}
"""Roles of columns, and the names that are taken for each, compared in lower case."""
REQUIRED = ("user", "item", "time")
SKIP = "skip"
MEANINGS = ("click", "add", "remove", "purchase", SKIP)
USUAL_ACTIONS: dict[str, str] = {
    "click": "click",
    "view": "click",
    "pv": "click",
    "add": "add",
    "cart": "add",
    "addtocart": "add",
    "remove": "remove",
    "remove_from_cart": "remove",
    "purchase": "purchase",
    "buy": "purchase",
    "transaction": "purchase",
}
"""What the values of an action column are taken for, compared in lower case."""


@dataclass(frozen=True)
class ColumnMapping:
    """How to read a table whose columns are known.

    Parameters
    ----------
    columns
        Names of the columns to read.
    places
        Where each role that the table has stands in `columns`.
    actions
        Value of the action column in lower case to `click`, `add`, `remove`, `purchase` or `skip`.
    time_unit
        One of `TIME_UNITS`.
    """

    columns: tuple[str, ...]
    places: dict[str, int]
    actions: dict[str, str]
    time_unit: str

    def row_of(self, line: int, fields: Sequence[str]) -> Row | str:
        """Make a row of the texts of `columns`, or the reason to skip it; without an action column it is a click."""
        action = self._action(fields)
        if action == SKIP:
            return f"action {self._text('action', fields)}"
        price = price_of("price", self._text("price", fields))
        return Row(
            make_event(
                cast(Action, action),
                line=line,
                user_id=id_of("user", self._text("user", fields)),
                item_id=id_of("item", self._text("item", fields)),
                occurred_at_ms=milliseconds_of("time", self._text("time", fields), self.time_unit),
                unit_price=price,
                quantity=quantity_of("quantity", self._text("quantity", fields), can_return=action == "purchase"),
                session_id=name_of(self._text("session", fields)),
            ),
            title=name_of(self._text("title", fields), MAX_TITLE),
            category=name_of(self._text("category", fields)),
            brand=name_of(self._text("brand", fields)),
            price=price,
        )

    def _action(self, fields: Sequence[str]) -> str:
        if "action" not in self.places:
            return "click"
        text = self._text("action", fields)
        action = self.actions.get(text.lower())
        if action is None:
            raise FieldError(
                "action",
                text,
                f"one of {', '.join(self.actions)}",
                f"say what it means with --action {text}=MEANING, one of {', '.join(MEANINGS)}",
            )
        return action

    def _text(self, role: str, fields: Sequence[str]) -> str:
        place = self.places.get(role)
        return "" if place is None else fields[place].strip()


def map_columns(
    path: Path,
    names: Sequence[str],
    columns: Mapping[str, str] | None,
    actions: Mapping[str, str] | None,
    time_unit: str,
) -> ColumnMapping:
    """Find the column of each role.

    Parameters
    ----------
    path
        The file, named by errors.
    names
        The columns that exist.
    columns
        Column by role, where it is not one of the usual names.
    actions
        Meaning by value of the action column, beside the usual ones.
    time_unit
        One of `TIME_UNITS`.

    Raises
    ------
    SourceError
        A role, meaning or unit is unknown, or a column is missing; the error names those that exist.
    """
    given, meanings = dict(columns or {}), {value.lower(): meaning for value, meaning in (actions or {}).items()}
    for what, words, known in (
        ("role of a column", given, USUAL_NAMES),
        ("meaning of an action", meanings.values(), MEANINGS),
        ("time unit", (time_unit,), TIME_UNITS),
    ):
        for word in words:
            if word not in known:
                raise SourceError(f"unknown {what} {word!r}: expected one of {', '.join(known)}")
    for role, column in given.items():
        if column not in names:
            raise SourceError(f"{path} has no column {column!r} for the {role}: its columns are {list(names)}")
    usual = {name.lower(): name for name in reversed(names)}
    for role, spellings in USUAL_NAMES.items():
        found = next((usual[spelling] for spelling in spellings if spelling in usual), None)
        if role not in given and found is not None:
            given[role] = found
        elif role not in given and role in REQUIRED:
            raise SourceError(
                f"{path}: which column is the {role}? Its columns are {list(names)}; say it with --column {role}=NAME"
            )
    return ColumnMapping(
        columns=tuple(given.values()),
        places={role: place for place, role in enumerate(given)},
        actions={**USUAL_ACTIONS, **meanings},
        time_unit=time_unit,
    )
