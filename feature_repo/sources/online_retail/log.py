"""The Online Retail log: a path comes in; items, and purchases and returns in event-time order, go out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from feature_repo.events import Cart, Event, Item
from feature_repo.sources.online_retail.catalogue import ItemsOfLines
from feature_repo.sources.online_retail.file import encoding_of, read_rows
from feature_repo.sources.online_retail.lines import Line, read_lines

NO_CUSTOMER = "no customer"


class OnlineRetail:
    """The UCI Online Retail file as a source.

    Every row is counted once: `rows` = events yielded + `skipped.total()`. The first call of any method but
    `events` alone reads the file once for its catalogue, counts and order; that survey is kept.

    Parameters
    ----------
    path
        CSV, plain or gzipped, in UTF-8 or Latin-1; see `COLUMNS` of the file module for the spellings accepted.
    """

    name = "online-retail"

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: _Survey | None = None
        self.skipped: Counter[str] = Counter()
        self.rows = 0

    def items(self) -> Iterator[Item]:
        """Yield an item for each stock code, in the order of their first lines."""
        return self._survey().items.items()

    def count(self) -> int:
        """Return the number of events in the file."""
        return self._survey().events

    def events(self) -> Iterator[tuple[str, Event]]:
        """Yield ("carts", purchase) for each product line of a known customer, in event-time order.

        The file is in order of time, and so its rows are streamed. Only if the survey found it unordered are all its
        lines held and sorted by time; lines of the same minute stay in the file's order.
        """
        self.skipped.clear()
        self.rows = 0
        lines = self._customer_lines()
        if not self._survey().ordered:
            lines = iter(sorted(lines, key=lambda line: line.occurred_at_ms))
        for line in lines:
            yield (
                "carts",
                Cart(
                    event_id=line.event_id,
                    user_id=line.user_id or "",
                    item_id=line.item_id,
                    action="purchase",
                    quantity=line.quantity,
                    unit_price=line.unit_price,
                    occurred_at_ms=line.occurred_at_ms,
                ),
            )

    def _customer_lines(self) -> Iterator[Line]:
        encoding = self._survey().encoding
        for line in read_lines(read_rows(self._path, encoding)):
            self.rows += 1
            if isinstance(line, str):
                self.skipped[line] += 1
            elif line.user_id is None:
                self.skipped[NO_CUSTOMER] += 1
            else:
                yield line

    def _survey(self) -> _Survey:
        if self._known is None:
            survey = _Survey(encoding_of(self._path))
            newest_ms = 0
            for line in read_lines(read_rows(self._path, survey.encoding)):
                if isinstance(line, str):
                    continue
                survey.items.add(line)
                if line.user_id is not None:
                    survey.events += 1
                    survey.ordered = survey.ordered and line.occurred_at_ms >= newest_ms
                    newest_ms = max(newest_ms, line.occurred_at_ms)
            self._known = survey
        return self._known


@dataclass
class _Survey:
    """What one pass over the file tells."""

    encoding: str
    items: ItemsOfLines = field(default_factory=ItemsOfLines)
    events: int = 0
    ordered: bool = True
