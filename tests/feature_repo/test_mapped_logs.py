"""Logs of anybody's making, CSV and Parquet, with a mapping of their columns."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest
from msgspec.structs import replace

from feature_repo.events import Cart, Click, Event, Item
from feature_repo.sources import SourceError, open_source, source_options

NEW_YEAR_MS = 1_577_836_800_000
HEADER = "when\twho\twhat\tdid\tcosts\tunits\tname"
ROWS = ("1577836800\tann\tmug\tlooked\t3.5\t\tRed mug", "1577836860\tann\tmug\tbuy\t3.5\t2\tRed mug")
COLUMNS = {"time": "when", "user": "who", "item": "what", "action": "did", "price": "costs", "quantity": "units"}
OPTIONS: dict[str, Any] = {"columns": COLUMNS | {"title": "name"}, "actions": {"LOOKED": "click"}, "time_unit": "s"}
EXPECTED: list[tuple[str, Event]] = [
    ("clicks", Click(f"{NEW_YEAR_MS}-2", "ann", "mug", NEW_YEAR_MS)),
    ("carts", Cart(f"{NEW_YEAR_MS + 60_000}-3", "ann", "mug", "purchase", 2, 3.5, NEW_YEAR_MS + 60_000)),
]


def csv_of(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "log.tsv"
    path.write_text("\n".join((header, *rows)) + "\n")
    return path


def test_mapped_columns_make_events_and_items(tmp_path: Path) -> None:
    log = open_source("csv", csv_of(tmp_path, *ROWS), **OPTIONS)
    assert list(log.events()) == EXPECTED
    assert list(log.items()) == [
        Item(item_id="mug", title="Red mug", in_stock=True, published_at_ms=NEW_YEAR_MS, price=3.5)
    ]


def test_usual_names_need_no_mapping(tmp_path: Path) -> None:
    path = csv_of(tmp_path, "ann,mug,view,1577836800000", header="User_ID,product_id,event_type,timestamp")
    assert list(open_source("csv", path).events()) == EXPECTED[:1]


def test_log_without_an_action_column_is_all_clicks(tmp_path: Path) -> None:
    path = csv_of(tmp_path, "ann,mug,1577836800000", header="user,item,time")
    assert list(open_source("csv", path).events()) == EXPECTED[:1]


def test_action_named_skip_is_counted_as_skipped(tmp_path: Path) -> None:
    log = open_source("csv", csv_of(tmp_path, *ROWS), **(OPTIONS | {"actions": {"looked": "skip"}}))
    assert len(list(log.events())) == log.count() == 1
    assert log.skipped == Counter({"action looked": 1})


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"columns": COLUMNS | {"user": "customer"}}, "no column 'customer' for the user: its columns are ['when', "),
        ({"columns": {"shopper": "who"}}, "unknown role of a column 'shopper': expected one of user, item, time"),
        ({}, "which column is the user? Its columns are ['when', 'who', 'what', "),
        (
            {"columns": COLUMNS, "actions": OPTIONS["actions"]},
            "line 2: time: saw '1577836800', expected a time between 1980 and 2100 in ms; mend that line, or is the "
            "time unit another one of s, ms, us, iso?",
        ),
        ({"columns": COLUMNS, "time_unit": "h"}, "unknown time unit 'h': expected one of s, ms, us, iso"),
        ({"columns": COLUMNS, "time_unit": "s"}, "say what it means with --action looked=MEANING, one of click"),
        (
            {"columns": COLUMNS, "actions": {"buy": "sale"}},
            "unknown meaning of an action 'sale': expected one of click",
        ),
    ],
)
def test_bad_mapping_says_what_there_is(tmp_path: Path, options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(SourceError, match=re.escape(complaint)):
        list(open_source("csv", csv_of(tmp_path, *ROWS), **options).events())


def test_parquet_gives_the_same_events_whatever_the_types(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    table = {
        "when": pyarrow.array([NEW_YEAR_MS * 1000, NEW_YEAR_MS * 1000 + 60_000_000], pyarrow.timestamp("us")),
        "who": pyarrow.array(["ann", "ann"]).dictionary_encode(),
        "what": pyarrow.array(["mug", "mug"]),
        "did": pyarrow.array(["looked", "buy"]),
        "costs": pyarrow.array([3.5, 3.5]),
        "units": pyarrow.array([None, 2], pyarrow.int64()),
        "name": pyarrow.array(["Red mug", None]),
    }
    pyarrow.parquet.write_table(pyarrow.table(table), path)
    events = [replace(event, event_id="") for _, event in open_source("parquet", path, **OPTIONS).events()]
    assert events == [replace(event, event_id="") for _, event in EXPECTED]


def test_parquet_with_numbers_for_ids_and_times_is_read(tmp_path: Path) -> None:
    path = tmp_path / "log.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"user": [7], "item": [8], "time": [NEW_YEAR_MS]}), path)
    assert list(open_source("parquet", path).events()) == [("clicks", Click(f"{NEW_YEAR_MS}-1", "7", "8", NEW_YEAR_MS))]


def test_file_that_is_not_parquet_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"cannot read .*log\.tsv as Parquet"):
        open_source("parquet", csv_of(tmp_path)).count()


def test_words_of_the_command_line_become_options() -> None:
    assert source_options(column=["user=who", "item=a=b"], action=["looked=click"], time_unit="s", days=None) == {
        "columns": {"user": "who", "item": "a=b"},
        "actions": {"looked": "click"},
        "time_unit": "s",
    }
    assert source_options(days=3, seed=0) == {"days": 3, "seed": 0}


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["user"], "--column: saw 'user', expected ROLE=COLUMN"),
        (["user=a", "user=b"], "saw 'user' twice, as 'a' and 'b'"),
    ],
)
def test_word_without_an_equals_sign_or_said_twice_is_refused(words: list[str], complaint: str) -> None:
    with pytest.raises(SourceError, match=complaint):
        source_options(column=words)
