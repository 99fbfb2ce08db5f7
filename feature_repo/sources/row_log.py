"""Rows of a file to a source: what an adapter makes of each row comes in; items and events in order go out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, Literal, TypeVar, cast

from feature_repo.events import Cart, Click, Event, Item
from feature_repo.sources.fields import FieldError
from feature_repo.sources.sorting import sorted_by_time
from feature_repo.sources.text_file import wrong_line

F = TypeVar("F")
Action = Literal["click", "add", "remove", "purchase"]


@dataclass(frozen=True, slots=True)
class Row:
    """One event of a log, and what its row says of the item; `price` is the item's, in currency units."""

    event: Click | Cart
    title: str | None = None
    category: str | None = None
    brand: str | None = None
    price: float | None = None


class RowLog(Generic[F]):
    """A file of one event a row, as a source.

    The first use reads the file once for its catalogue, the number of events and their order; that survey is kept. A
    file in order of time is then streamed; any other is sorted on disk, events of one millisecond staying in the
    file's order. An item is what the row of its first event says of it, so nothing of it is known before its time.

    Parameters
    ----------
    name
        Name of the source.
    path
        The file, named by errors.
    read
        Reads the file: yields (line number, fields). Called once a run.
    row_of
        Makes a `Row` of a line number and fields, or the reason (a str) to skip the row. A `FieldError` of it becomes
        a `SourceError` with the line's number.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        read: Callable[[], Iterator[tuple[int, F]]],
        row_of: Callable[[int, F], Row | str],
    ) -> None:
        self._name = name
        self._path = path
        self._read = read
        self._row_of = row_of
        self._known: _Survey | None = None
        self.skipped: Counter[str] = Counter()

    @property
    def name(self) -> str:
        """Name of the source, as in `SOURCES`."""
        return self._name

    def items(self) -> Iterator[Item]:
        """Yield each item of the events, in the order of the file."""
        return iter(self._survey().items.values())

    def count(self) -> int:
        """Return the number of events in the file."""
        return self._survey().events

    def events(self) -> Iterator[tuple[str, Event]]:
        """Yield (topic, event) in event-time order."""
        ordered = self._survey().ordered
        self.skipped.clear()
        events = ((topic_of(row.event), cast(Event, row.event)) for row in self._rows(self.skipped))
        return events if ordered else sorted_by_time(events)

    def _rows(self, skipped: Counter[str]) -> Iterator[Row]:
        for line, fields in self._read():
            try:
                row = self._row_of(line, fields)
            except FieldError as error:
                raise wrong_line(self._path, line, str(error), error.remedy) from error
            if isinstance(row, str):
                skipped[row] += 1
            else:
                yield row

    def _survey(self) -> _Survey:
        if self._known is None:
            survey = _Survey()
            newest_ms = 0
            for row in self._rows(Counter()):
                survey.events += 1
                survey.ordered = survey.ordered and row.event.occurred_at_ms >= newest_ms
                newest_ms = max(newest_ms, row.event.occurred_at_ms)
                survey.take(row)
            self._known = survey
        return self._known


@dataclass
class _Survey:
    """What one pass over the file tells."""

    items: dict[str, Item] = field(default_factory=dict)
    events: int = 0
    ordered: bool = True

    def take(self, row: Row) -> None:
        """Note the row's item, unless an event as early named it."""
        item_id, at_ms = row.event.item_id, row.event.occurred_at_ms
        known = self.items.get(item_id)
        if known is None or at_ms < known.published_at_ms:
            self.items[item_id] = Item(
                item_id=item_id,
                title=row.title or f"item {item_id}",
                in_stock=True,
                published_at_ms=at_ms,
                category=row.category,
                brand=row.brand,
                price=row.price,
            )


def topic_of(event: Click | Cart) -> str:
    """Give the topic of an event."""
    return "clicks" if type(event) is Click else "carts"


def make_event(
    action: Action,
    *,
    line: int,
    user_id: str,
    item_id: str,
    occurred_at_ms: int,
    unit_price: float | None = None,
    quantity: int = 1,
    session_id: str | None = None,
) -> Click | Cart:
    """Make the event of a row.

    Its id is its time and its line, so it is the same in every run, and another one in the log's next file. A cart
    event whose row has no price has the price 0.
    """
    event_id = f"{occurred_at_ms}-{line}"
    if action == "click":
        return Click(event_id, user_id, item_id, occurred_at_ms, session_id)
    return Cart(event_id, user_id, item_id, action, quantity, unit_price or 0.0, occurred_at_ms)
