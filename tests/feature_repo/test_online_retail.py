from __future__ import annotations

import gzip
from collections import Counter
from pathlib import Path

import pytest

from feature_repo.events import Cart, Item, decode_event, decode_item, encode
from feature_repo.sources import SourceError
from feature_repo.sources.online_retail import OnlineRetail

HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country"
FIRST_MS = 1_291_191_960_000
"""2010-12-01 08:26 UTC."""


def log_of(folder: Path, *rows: str, header: str = HEADER) -> OnlineRetail:
    path = folder / "log.csv"
    path.write_text("\n".join((header, *rows)) + "\n", encoding="utf-8")
    return OnlineRetail(path)


def row(
    invoice: str = "536365",
    code: str = "85123A",
    title: str = "WHITE HANGING HEART T-LIGHT HOLDER",
    quantity: str = "6",
    date: str = "2010-12-01 08:26:00",
    price: str = "2.55",
    customer: str = "17850.0",
) -> str:
    return f"{invoice},{code},{title},{quantity},{date},{price},{customer},United Kingdom"


def carts(log: OnlineRetail) -> list[Cart]:
    events = list(log.events())
    assert {topic for topic, _ in events} <= {"carts"}
    assert log.rows == len(events) + log.skipped.total()
    assert log.count() == len(events)
    return [event for _, event in events if isinstance(event, Cart)]


def item(log: OnlineRetail, item_id: str) -> Item:
    return next(item for item in log.items() if item.item_id == item_id)


def test_product_line_of_a_customer_is_a_purchase(tmp_path: Path) -> None:
    assert carts(log_of(tmp_path, row())) == [
        Cart(
            event_id="536365-1",
            user_id="17850",
            item_id="85123A",
            action="purchase",
            quantity=6,
            unit_price=2.55,
            occurred_at_ms=FIRST_MS,
        )
    ]


def test_cancellation_is_a_return(tmp_path: Path) -> None:
    (cart,) = carts(log_of(tmp_path, row(invoice="C536379", quantity="-2")))
    assert (cart.event_id, cart.action, cart.quantity) == ("C536379-1", "purchase", -2)


def test_negative_quantity_without_a_cancellation_is_a_return(tmp_path: Path) -> None:
    (cart,) = carts(log_of(tmp_path, row(quantity="-2")))
    assert cart.quantity == -2


def test_identical_lines_are_two_lines(tmp_path: Path) -> None:
    assert [cart.event_id for cart in carts(log_of(tmp_path, row(), row()))] == ["536365-1", "536365-2"]


def test_ordinals_count_skipped_lines_and_interleaved_invoices(tmp_path: Path) -> None:
    log = log_of(tmp_path, row(), row("536366"), row(code="POST"), row(customer=""), row())
    assert [cart.event_id for cart in carts(log)] == ["536365-1", "536366-1", "536365-4"]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (row(customer=""), "no customer"),
        (row(code="POST"), "not a product"),
        (row(code="m"), "not a product"),
        (row(code="BANK CHARGES"), "not a product"),
        (row(code="gift_0001_20"), "not a product"),
        (row(code="DCGS0003"), "not a product"),
        (row(code="1234"), "not a product"),
        (row(code="85123 A"), "not a product"),
        (row(quantity="0"), "zero quantity"),
        (row(quantity="six"), "unreadable quantity"),
        (row(quantity="1.5"), "unreadable quantity"),
        (row(quantity="inf"), "unreadable quantity"),
        (row(quantity="1000001"), "quantity beyond 1000000"),
        (row(price="-11062.06"), "negative price"),
        (row(price="free"), "unreadable price"),
        (row(price="nan"), "unreadable price"),
        (row(price="1e10"), "price beyond 1000000000"),
        (row(date="yesterday"), "unreadable date"),
        (row(date="2010-13-01 08:26:00"), "unreadable date"),
        (row(date="1969-12-31 08:26:00"), "unreadable date"),
        (row(customer="Smith"), "unreadable customer"),
        (row(invoice=""), "unreadable invoice number"),
        (row(invoice="C536379"), "cancellation with a positive quantity"),
        ("536365,85123A,LANTERN", "missing columns"),
    ],
)
def test_bad_row_is_skipped_with_its_reason(tmp_path: Path, bad: str, reason: str) -> None:
    log = log_of(tmp_path, row(), bad, row())
    assert len(carts(log)) == 2
    assert log.skipped == Counter({reason: 1})


def test_field_too_large_for_csv_is_skipped(tmp_path: Path) -> None:
    log = log_of(tmp_path, row(), row(title="X" * 200_000), row())
    assert len(carts(log)) == 2
    assert log.skipped == Counter({"not CSV": 1})


def test_blank_lines_are_no_rows(tmp_path: Path) -> None:
    log = log_of(tmp_path, "", row(), "")
    assert len(carts(log)) == 1
    assert log.rows == 1


def test_skipped_rows_are_counted_once_a_run(tmp_path: Path) -> None:
    log = log_of(tmp_path, row(customer=""))
    assert carts(log) == carts(log) == []
    assert log.skipped.total() == 1


def test_stock_codes_are_compared_in_capitals(tmp_path: Path) -> None:
    assert {cart.item_id for cart in carts(log_of(tmp_path, row(code="85123a"), row(code=" 85123A ")))} == {"85123A"}


def test_other_spellings_of_columns_and_dates_give_the_same_events(tmp_path: Path) -> None:
    expected = carts(log_of(tmp_path, row()))
    header = "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country"
    assert carts(log_of(tmp_path, row(date="12/1/2010 8:26", customer="17850"), header=header)) == expected


def test_gzip_utf8_and_latin1_give_the_same_log(tmp_path: Path) -> None:
    text = f"{HEADER}\n{row(title='CAFÉ SIGN £5')}\n"
    logs = []
    for name, data in (
        ("utf8.csv", text.encode()),
        ("bom.csv", text.encode("utf-8-sig")),
        ("latin1.csv", text.encode("latin-1")),
        ("gzipped.csv.gz", gzip.compress(text.encode())),
    ):
        path = tmp_path / name
        path.write_bytes(data)
        logs.append(OnlineRetail(path))
    assert {item(log, "85123A").title for log in logs} == {"CAFÉ SIGN £5"}
    assert all(carts(log) == carts(logs[0]) for log in logs)


def test_unordered_file_is_sorted_by_time_and_stays_in_file_order_within_a_minute(tmp_path: Path) -> None:
    later = "2010-12-02 09:00:00"
    log = log_of(tmp_path, row("3", date=later), row("4", date=later), row("2"), row("1"))
    assert [cart.event_id for cart in carts(log)] == ["2-1", "1-1", "3-1", "4-1"]


def test_item_has_the_most_frequent_title_and_the_median_price_of_sales(tmp_path: Path) -> None:
    log = log_of(
        tmp_path,
        row(title="wrongly marked", price="0", quantity="-3", customer=""),
        row(title="RED  MUG.", price="3.0"),
        row(title="RED MUG", price="2.0", customer=""),
        row(title="BLUE MUG", price="9.0", date="2010-12-01 08:30:00"),
        row(invoice="C1", title="RED MUG", price="90", quantity="-1", date="2010-12-01 08:31:00"),
    )
    assert item(log, "85123A") == Item(
        item_id="85123A", title="RED MUG", category="mug", price=3.0, in_stock=True, published_at_ms=FIRST_MS
    )


def test_item_that_was_never_sold_is_out_of_stock_and_named_by_its_code(tmp_path: Path) -> None:
    found = item(log_of(tmp_path, row(title="damages", quantity="-3", price="0", customer="")), "85123A")
    assert (found.title, found.price, found.in_stock) == ("85123A", None, False)


@pytest.mark.parametrize(
    ("title", "category"),
    [
        ("JUMBO BAG RED RETROSPOT", "bag"),
        ("WHITE HANGING HEART T-LIGHT HOLDER", "holder"),
        ("SET OF 3 CAKE TINS PANTRY DESIGN", "tin"),
        ("PACK OF 60 SPACEBOY CAKE CASES", "case"),
        ("LUNCH BOX WITH CUTLERY RETROSPOT", "box"),
        ("REGENCY CAKESTAND 3 TIER", "cakestand"),
        ("GLITTER BUTTERFLIES", None),
        ("PACK OF 20 DOILIES", "doily"),
        ("FOR YOU, A MUG", "mug"),
    ],
)
def test_category_is_the_last_noun_before_a_qualifier(tmp_path: Path, title: str, category: str | None) -> None:
    assert item(log_of(tmp_path, row(title=f'"{title}"')), "85123A").category == category


def test_file_of_another_kind_names_the_missing_column(tmp_path: Path) -> None:
    log = log_of(tmp_path, "1,2", header="user,item")
    with pytest.raises(SourceError, match=r"no column for the invoice.*\['user', 'item'\]"):
        next(log.events())


def test_truncated_gzip_is_an_error_not_a_short_log(tmp_path: Path) -> None:
    path = tmp_path / "log.csv.gz"
    path.write_bytes(gzip.compress("\n".join((HEADER, *[row(str(n)) for n in range(999)])).encode())[:-20])
    with pytest.raises(SourceError, match="check that the file is whole"):
        list(OnlineRetail(path).events())


@pytest.mark.data
def test_every_row_of_the_real_file_is_an_event_or_skipped(shared_data: Path) -> None:
    path = shared_data / "online_retail" / "invoices_2010-12_2011-08.csv.gz"
    if not path.is_file():
        pytest.skip(f"the Online Retail file is not at {path}")
    log = OnlineRetail(path)
    items = {item.item_id: item for item in log.items()}
    assert all(decode_item(item_id.encode(), encode(item)) == item for item_id, item in items.items())
    event_ids = set()
    newest_ms = 0
    for topic, event in log.events():
        assert isinstance(event, Cart)
        assert event.occurred_at_ms >= newest_ms
        newest_ms = event.occurred_at_ms
        event_ids.add(event.event_id)
        assert items[event.item_id].published_at_ms <= event.occurred_at_ms
        if len(event_ids) % 100 == 1:
            assert decode_event(topic, event.user_id.encode(), encode(event), newest_ms).event == event
    assert log.skipped == Counter({"no customer": 87_807, "not a product": 1_992})
    assert log.rows == 320_705 == len(event_ids) + log.skipped.total()
    assert log.count() == len(event_ids)
    assert len(items) == 3_648
