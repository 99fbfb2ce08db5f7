"""Search by title."""

from __future__ import annotations

from streams.api.search import Found, TitleIndex
from tests.streams.fakes import NOW_MS, item


def index() -> TitleIndex:
    titles = TitleIndex()
    titles.put(
        [
            item("1", "lamps", title="Red desk lamp", published_at_ms=NOW_MS - 30),
            item("2", "lamps", title="Blue lamp shade", brand="acme", published_at_ms=NOW_MS - 20),
            item("3", "cafe", title="Café crème", published_at_ms=NOW_MS - 10, in_stock=False),
            item("4", "lamps", title="Lamp of tomorrow", published_at_ms=NOW_MS + 10),
        ]
    )
    return titles


def find(titles: TitleIndex, query: str, category: str | None = None, brand: str | None = None) -> Found:
    return titles.find(query, category, brand, 10, 0, NOW_MS)


def test_words_are_found_in_any_order_case_and_accent() -> None:
    titles = index()

    assert find(titles, "LAMP red").item_ids == ("1",)
    assert find(titles, "cafe creme").item_ids == ("3",)
    assert find(titles, "nothing such") == Found((), 0)


def test_beginning_of_a_word_is_enough() -> None:
    assert set(find(index(), "la").item_ids) == {"1", "2"}


def test_category_and_brand_narrow_a_search() -> None:
    titles = index()

    assert find(titles, "", "cafe").item_ids == ("3",)
    assert find(titles, "lamp", "lamps", "acme").item_ids == ("2",)


def test_without_words_all_items_come_newest_first_page_by_page() -> None:
    titles = index()

    assert find(titles, "  ") == Found(("3", "2", "1"), 3)
    assert titles.find("", None, None, 1, 1, NOW_MS) == Found(("2",), 3)


def test_operators_of_the_index_are_words_like_others() -> None:
    titles = index()

    for query in ('"', "lamp AND (", "title:lamp", "NEAR(lamp)", "lamp*", "-", "'; DROP TABLE items"):
        assert find(titles, query).total <= 2
    assert find(titles, "lamp OR crème").total == 0


def test_changed_item_is_found_by_its_new_title_alone() -> None:
    titles = index()
    titles.put([item("1", "chairs", title="Green chair")])

    assert find(titles, "red").total == 0
    assert find(titles, "chair").item_ids == ("1",)
    assert titles.categories(NOW_MS) == {"cafe": 1, "chairs": 1, "lamps": 1}


def test_removed_item_is_not_found() -> None:
    titles = index()
    titles.remove(["1", "unknown"])

    assert find(titles, "red").total == 0
    assert titles.newest(10, NOW_MS) == ("2",)


def test_newest_are_published_and_in_stock() -> None:
    assert index().newest(10, NOW_MS) == ("2", "1")
