"""The catalogue by title, category and age: items in, ids that match a shopper's words out.

SQLite's full-text index (FTS5, part of Python) in memory: words and beginnings of words, without accents and case,
best matches first. Any thread may ask.
"""

from __future__ import annotations

import re
import sqlite3
import threading
from collections.abc import Iterable
from dataclasses import dataclass

from feature_repo.events import Item

_SCHEMA = """
CREATE TABLE items (row INTEGER PRIMARY KEY, item_id TEXT UNIQUE, category TEXT, brand TEXT, in_stock INTEGER,
    published_at_ms INTEGER);
CREATE INDEX by_age ON items (published_at_ms);
CREATE INDEX by_category ON items (category, published_at_ms);
CREATE VIRTUAL TABLE titles USING fts5 (title, prefix = '1 2 3', tokenize = "unicode61 remove_diacritics 2");
"""
_WORD = re.compile(r"\w+")
MOST_WORDS = 16


@dataclass(frozen=True)
class Found:
    """Ids of one page, best first, and how many items match in all."""

    item_ids: tuple[str, ...]
    total: int


class TitleIndex:
    """The items that a shopper can find."""

    def __init__(self) -> None:
        self._database = sqlite3.connect(":memory:", check_same_thread=False)
        self._database.executescript(_SCHEMA)
        self._lock = threading.Lock()

    def put(self, items: Iterable[Item]) -> None:
        """Add items, or replace them."""
        with self._lock, self._database:
            for item in items:
                self._remove(item.item_id)
                values = (item.item_id, item.category, item.brand, item.in_stock, item.published_at_ms)
                row = self._database.execute(
                    "INSERT INTO items (item_id, category, brand, in_stock, published_at_ms) VALUES (?, ?, ?, ?, ?)",
                    values,
                ).lastrowid
                self._database.execute("INSERT INTO titles (rowid, title) VALUES (?, ?)", (row, item.title))

    def remove(self, item_ids: Iterable[str]) -> None:
        """Forget items; unknown ones are left as they are."""
        with self._lock, self._database:
            for item_id in item_ids:
                self._remove(item_id)

    def find(self, query: str, category: str | None, brand: str | None, limit: int, offset: int, now_ms: int) -> Found:
        """Find published items.

        Parameters
        ----------
        query
            Words of the title, the last one may be its beginning only; of an empty one, all items, newest first.
        category, brand
            Which items to look among; None for all.
        limit, offset
            The page.
        now_ms
            Items that are published later are not found.
        """
        words = _WORD.findall(query)[:MOST_WORDS]
        if query.strip() and not words:
            return Found((), 0)
        source, order = "items", "published_at_ms DESC, row"
        conditions, values = ["published_at_ms <= ?"], [str(now_ms)]
        if words:
            source, order = "titles JOIN items ON items.row = titles.rowid", "titles.rank, published_at_ms DESC, row"
            conditions.append("titles MATCH ?")
            # In quotes, so that no word is taken for an operator of the index.
            values.append(" ".join(f'"{word}"*' for word in words))
        for column, wanted in (("category", category), ("brand", brand)):
            if wanted is not None:
                conditions.append(f"{column} = ?")
                values.append(wanted)
        where = f"FROM {source} WHERE {' AND '.join(conditions)}"
        with self._lock:
            (total,) = self._database.execute(f"SELECT count(*) {where}", values).fetchone()
            rows = self._database.execute(
                f"SELECT item_id {where} ORDER BY {order} LIMIT {limit:d} OFFSET {offset:d}", values
            ).fetchall()
        return Found(tuple(item_id for (item_id,) in rows), total)

    def newest(self, limit: int, now_ms: int) -> tuple[str, ...]:
        """Ids of the newest items in stock."""
        with self._lock:
            rows = self._database.execute(
                "SELECT item_id FROM items WHERE in_stock AND published_at_ms <= ? ORDER BY published_at_ms DESC, row "
                "LIMIT ?",
                (now_ms, limit),
            ).fetchall()
        return tuple(item_id for (item_id,) in rows)

    def categories(self, now_ms: int) -> dict[str, int]:
        """Items of each category, the largest first."""
        with self._lock:
            rows = self._database.execute(
                "SELECT category, count(*) FROM items WHERE category IS NOT NULL AND published_at_ms <= ? "
                "GROUP BY category ORDER BY count(*) DESC, category",
                (now_ms,),
            ).fetchall()
        return dict(rows)

    def close(self) -> None:
        """Let go of the memory."""
        with self._lock:
            self._database.close()

    def _remove(self, item_id: str) -> None:
        found = self._database.execute("SELECT row FROM items WHERE item_id = ?", (item_id,)).fetchone()
        if found is not None:
            self._database.execute("DELETE FROM items WHERE row = ?", found)
            self._database.execute("DELETE FROM titles WHERE rowid = ?", found)
