"""The public sets that have a source of their own: tiny literal files, and the real ones where they are."""

from __future__ import annotations

import gzip
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest

from feature_repo.events import Cart, Click, Event, Item, decode_event, decode_item, encode
from feature_repo.sources import Source, SourceError, open_source

REES46 = """\
event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session
2019-10-01 00:00:00 UTC,view,44600062,2103807459595387724,,shiseido,35.79,541312140,72d76fde
2019-10-01 00:00:01 UTC,cart,3900821,205301,home.water_heater,aqua,33.20,554748717,9333dfbd
2019-10-01 00:00:01 UTC,remove_from_cart,3900821,205301,home.water_heater,aqua,33.20,554748717,9333dfbd
2019-10-01 00:00:02 UTC,purchase,44600062,2103807459595387724,,shiseido,30.00,541312140,
"""
OCTOBER_MS = 1_569_888_000_000
NOVEMBER_MS = 1_511_539_200_000


def opened(name: str, folder: Path, text: str, **options: object) -> Source:
    path = folder / "log.csv"
    path.write_text(text)
    return open_source(name, path, **options)


def events_of(source: Source) -> list[tuple[str, Event]]:
    """Take all events twice, and hold them against the contract."""
    events = list(source.events())
    assert events == list(source.events())
    assert source.count() == len(events)
    items = {item.item_id: item for item in source.items()}
    newest_ms = 0
    for topic, event in events:
        assert decode_event(topic, event.user_id.encode(), encode(event), event.occurred_at_ms).event == event
        assert isinstance(event, Click | Cart)
        assert newest_ms <= event.occurred_at_ms
        newest_ms = event.occurred_at_ms
        assert items[event.item_id].published_at_ms <= newest_ms
    assert len({event.event_id for _, event in events}) == len(events)
    assert all(decode_item(item_id.encode(), encode(item)) == item for item_id, item in items.items())
    return events


def test_rees46_views_carts_and_purchases_are_events(tmp_path: Path) -> None:
    events = events_of(opened("rees46", tmp_path, REES46))
    assert [topic for topic, _ in events] == ["clicks", "carts", "carts", "carts"]
    assert events[0][1] == Click(f"{OCTOBER_MS}-2", "541312140", "44600062", OCTOBER_MS, "72d76fde")
    assert events[1][1] == Cart(f"{OCTOBER_MS + 1000}-3", "554748717", "3900821", "add", 1, 33.2, OCTOBER_MS + 1000)
    assert [event.action for _, event in events if isinstance(event, Cart)] == ["add", "remove", "purchase"]


def test_rees46_item_is_called_by_brand_and_kind_as_first_seen(tmp_path: Path) -> None:
    soap, heater = opened("rees46", tmp_path, REES46).items()
    assert soap == Item(
        item_id="44600062",
        title="shiseido",
        in_stock=True,
        published_at_ms=OCTOBER_MS,
        category="2103807459595387724",
        brand="shiseido",
        price=35.79,
    )
    assert (heater.title, heater.category) == ("aqua water heater", "home.water_heater")


@pytest.mark.parametrize(
    ("seen", "instead", "complaint"),
    [
        ("remove_from_cart", "wish", r"line 4: event_type: saw 'wish', expected one of view, cart"),
        ("2019-10-01 00:00:02 UTC", "soon", r"line 5: event_time: saw 'soon', expected a date and time"),
        (",30.00,", ",-3,", r"line 5: price: saw '-3', expected a number from 0"),
        (",35.79,541312140,", ",35.79,,", r"line 2: user_id: saw '', expected 1 to 256 bytes"),
    ],
)
def test_malformed_line_is_named(tmp_path: Path, seen: str, instead: str, complaint: str) -> None:
    with pytest.raises(SourceError, match=complaint):
        list(opened("rees46", tmp_path, REES46.replace(seen, instead)).events())


def test_taobao_is_read_with_and_without_a_header(tmp_path: Path) -> None:
    ours = opened("taobao", tmp_path, "ts,user,item,behavior\n1511539200,1,10,fav\n1511539202,2,20,buy\n")
    events = events_of(ours)
    assert events == [
        ("clicks", Click(f"{NOVEMBER_MS}-2", "1", "10", NOVEMBER_MS)),
        ("carts", Cart(f"{NOVEMBER_MS + 2000}-3", "2", "20", "purchase", 1, 0.0, NOVEMBER_MS + 2000)),
    ]
    published = opened("taobao", tmp_path, "1,10,7,pv,1511539200\n2,20,8,cart,1511539202\n")
    assert [type(event) for _, event in events_of(published)] == [Click, Cart]
    assert [(item.title, item.category) for item in published.items()] == [("item 10", "7"), ("item 20", "8")]


def test_taobao_rows_of_other_years_are_skipped_and_counted(tmp_path: Path) -> None:
    source = opened("taobao", tmp_path, "1,10,7,pv,1511539200\n1,10,7,pv,-1511539200\n1,10,7,pv,1512316800\n")
    assert len(events_of(source)) == 1
    assert source.skipped == Counter({"not within the nine days of the set": 2})


def test_taobao_file_by_user_is_sorted_by_time(tmp_path: Path) -> None:
    source = opened("taobao", tmp_path, "1,10,7,pv,1511539205\n1,11,7,pv,1511539200\n2,12,7,pv,1511539205\n")
    assert [event.item_id for _, event in events_of(source) if isinstance(event, Click)] == ["11", "10", "12"]


def test_retailrocket_is_sorted_and_takes_categories_from_beside_it(tmp_path: Path) -> None:
    (tmp_path / "item_properties_part1.csv").write_text(
        "timestamp,itemid,property,value\n1435460400000,10,categoryid,338\n1435460300000,10,888,n22 9\n"
    )
    (tmp_path / "item_properties_part2.csv.gz").write_bytes(
        gzip.compress(b"timestamp,itemid,property,value\n1435460300000,10,categoryid,225\n")
    )
    source = opened(
        "retailrocket",
        tmp_path,
        "timestamp,visitorid,event,itemid,transactionid\n"
        "1433221332117,257597,view,10,\n1433221332000,9,addtocart,11,\n1433221999000,9,transaction,11,4000\n",
    )
    events = events_of(source)
    assert [(topic, event.user_id) for topic, event in events] == [("carts", "9"), ("clicks", "257597"), ("carts", "9")]
    assert [(item.item_id, item.category) for item in source.items()] == [("10", "225"), ("11", None)]


def test_retailrocket_needs_no_property_files(tmp_path: Path) -> None:
    source = opened(
        "retailrocket", tmp_path, "timestamp,visitorid,event,itemid,transactionid\n1433221332117,1,view,2,\n"
    )
    assert [item.category for item in source.items()] == [None]


def test_sequences_get_strictly_increasing_times_and_end_on_one_day(tmp_path: Path) -> None:
    source = opened("sequences", tmp_path, "ann 1 2 3\nbob 2 9\n\ncat 4\n")
    events = events_of(source)
    times = [event.occurred_at_ms for _, event in events]
    assert all(earlier < later for earlier, later in pairwise(times))
    assert [event.item_id for _, event in events if isinstance(event, Click) and event.user_id == "ann"] == list("123")
    last_day = {event.user_id for _, event in events if event.occurred_at_ms // 86_400_000 == times[-1] // 86_400_000}
    assert last_day == {"ann", "bob", "cat"}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("1 2 3\n4\n", r"line 2: saw '4' alone, expected a user's id and items"),
        ("1 2 3\n4 5\n1 6\n", r"line 3: user '1' came before, on line 1; .* put an id before each"),
        ("1 2\n3 \x01\n", r"line 2: item: saw"),
    ],
)
def test_line_that_is_no_users_sequence_is_named(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(SourceError, match=complaint):
        list(opened("sequences", tmp_path, text).events())


def test_empty_file_of_sequences_has_no_events(tmp_path: Path) -> None:
    assert events_of(opened("sequences", tmp_path, "")) == []


def real(shared_data: Path, name: str, file: str) -> Source:
    path = shared_data / file
    if not path.is_file():
        pytest.skip(f"the file is not at {path}")
    return open_source(name, path)


@pytest.mark.data
def test_rees46_sample_is_read_to_the_last_row(shared_data: Path) -> None:
    source = real(shared_data, "rees46", "rees46_sample/2019-Oct_first_rows.csv.gz")
    events = events_of(source)
    actions = Counter(event.action if isinstance(event, Cart) else "click" for _, event in events)
    assert actions == Counter({"click": 4915, "add": 50, "purchase": 54})
    assert len(list(source.items())) == 2312
    assert len({event.user_id for _, event in events}) == 1755


@pytest.mark.data
def test_taobao_file_is_read_to_the_last_row(shared_data: Path) -> None:
    source = real(shared_data, "taobao", "taobao/events_2017-11-25_12-01.csv.gz")
    assert source.count() == sum(1 for _ in source.events()) == 281_016
    assert source.skipped == Counter()


@pytest.mark.data
def test_beauty_sequences_are_read_to_the_last_item(shared_data: Path) -> None:
    source = real(shared_data, "sequences", "amazon_sequences/Beauty.txt")
    users: Counter[str] = Counter(event.user_id for _, event in source.events())
    assert (len(users), users.total(), len(list(source.items()))) == (22_363, 198_502, 12_101)


@pytest.mark.data
def test_session_files_without_ids_are_refused(shared_data: Path) -> None:
    source = real(shared_data, "sequences", "diginetica/train_sessions.txt.gz")
    with pytest.raises(SourceError, match="put an id before each"):
        source.count()
