"""Invoice lines to items: the lines of every stock code come in; its title, category and price go out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from feature_repo.events import Item
from feature_repo.sources.online_retail.lines import Line
from feature_repo.sources.online_retail.nouns import category_of

MAX_TITLE = 1000


class ItemLines:
    """What the lines of one stock code say about the item; grows with `add`."""

    __slots__ = ("first_seen_ms", "prices", "titles")

    def __init__(self) -> None:
        self.first_seen_ms: int | None = None
        self.prices: Counter[float] = Counter()
        self.titles: Counter[str] = Counter()

    def add(self, line: Line) -> None:
        """Take in one line of the item."""
        if self.first_seen_ms is None or line.occurred_at_ms < self.first_seen_ms:
            self.first_seen_ms = line.occurred_at_ms
        if line.quantity > 0 and line.unit_price > 0:
            self.prices[line.unit_price] += 1
        self.titles[line.description] += 1

    def item(self, item_id: str) -> Item:
        """Return the catalogue item these lines describe; one that was never sold at a price is not in stock."""
        price = _median(self.prices)
        title = _most_frequent_title(self.titles) or item_id
        return Item(
            item_id=item_id,
            title=title,
            category=category_of(title),
            price=price,
            in_stock=price is not None,
            published_at_ms=self.first_seen_ms or 0,
        )


class ItemsOfLines:
    """The items of a log, in the order of their first lines; grows with `add`."""

    def __init__(self) -> None:
        self._lines: dict[str, ItemLines] = {}

    def add(self, line: Line) -> None:
        """Take in one line."""
        lines = self._lines.get(line.item_id)
        if lines is None:
            lines = self._lines[line.item_id] = ItemLines()
        lines.add(line)

    def items(self) -> Iterator[Item]:
        """Yield one item for each stock code seen."""
        for item_id, lines in self._lines.items():
            yield lines.item(item_id)


def _most_frequent_title(descriptions: Counter[str]) -> str | None:
    """Return the most frequent cleaned description; ties go to the one that sorts first.

    Titles are in capitals; notes of the stock keepers ("damages", "?", "sold as set on dotcom") are not, so a
    description counts only if most of its letters are capitals.
    """
    titles: Counter[str] = Counter()
    for description, count in descriptions.items():
        title = " ".join(description.split()).strip(" .,")[:MAX_TITLE]
        if not title.isprintable():
            continue
        capitals = sum(letter.isupper() for letter in title)
        letters = sum(letter.isalpha() for letter in title)
        if letters >= 3 and 2 * capitals > letters:
            titles[title] += count
    return min(titles, key=lambda title: (-titles[title], title)) if titles else None


def _median(prices: Counter[float]) -> float | None:
    """Return the lower median of the counted prices, in pounds; None when there are none."""
    middle = (prices.total() + 1) // 2
    for price in sorted(prices):
        middle -= prices[price]
        if middle <= 0:
            return price
    return None
