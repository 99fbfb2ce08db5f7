"""Feast's `get_historical_features` on an archive, held against a replay that knows nothing of it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from feature_repo.archive.feature_values import Shelf, write_feature_values
from feature_repo.archive.layout import ArchiveError
from feature_repo.archive.records import ArchivedRecord
from feature_repo.archive.view_files import view_path
from feature_repo.archive.writing import write_segment
from feature_repo.events import TOPICS, Cart, Click, DecodeError, Item, decode_event
from feature_repo.features import FEATURES, features
from feature_repo.item_state import ITEM_FEATURES, ItemState, item_features, update_item
from feature_repo.offsets import Position
from feature_repo.online import OnlineConfig, open_feature_store
from feature_repo.state import Outcome, UserState, update
from tests.feature_repo.archives import NOON_MS, Broker
from tests.feature_repo.shoppers import ITEM_IDS, make_arrival

HOUR_MS = 3_600_000
SHOPPERS = ("ann", "bob", "eve")
Values = dict[str, float | str]
Ask = Callable[[Path, str, Sequence[tuple[str, int]]], list[dict[str, Any]]]


@pytest.fixture
def ask(tmp_path: Path) -> Ask:
    """Values of a view through Feast at (id, ms), in the order of the question."""

    def ask(archive: Path, view: str, wanted: Sequence[tuple[str, int]]) -> list[dict[str, Any]]:
        key = {"user_features": "user_id", "item_features": "item_id"}[view]
        declared = {"user_features": FEATURES, "item_features": ITEM_FEATURES}[view]
        question = pd.DataFrame(
            {
                key: [entity_id for entity_id, _ in wanted],
                "event_timestamp": [datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms) for _, ms in wanted],
                "place": range(len(wanted)),
            }
        )
        with open_feature_store(OnlineConfig("sqlite", str(tmp_path / "online.db"), archive=archive)) as online:
            answer = online.store.get_historical_features(
                question, features=[f"{view}:{feature.name}" for feature in declared]
            ).to_df()
        rows = answer.sort_values("place").to_dict("records")
        assert [row["place"] for row in rows] == list(range(len(wanted)))
        return [{feature.name: row[feature.name] for feature in declared} for row in rows]

    return ask


def busy_shop() -> Broker:
    """Days of three shoppers, with all that goes wrong: late, repeated, malformed and refused records."""
    chance, broker = random.Random(5), Broker()
    for number, item_id in enumerate(ITEM_IDS[:4]):
        broker.take(Item(item_id, f"{item_id} {number}", True, NOON_MS - HOUR_MS, category="ware", price=number + 1.0))
    ms = NOON_MS
    for number in range(120):
        ms += chance.choice((0, 1, 60_000, 5 * HOUR_MS))
        late_ms = chance.choice((0, 0, 0, 0, HOUR_MS, 30 * HOUR_MS))
        made = make_arrival(number, chance.randrange(7), 0, chance).event
        event = msgspec.structs.replace(made, user_id=chance.choice(SHOPPERS), occurred_at_ms=ms - late_ms)
        record = broker.take(event, at_ms=ms)
        if number % 10 == 3:
            broker.append(record.topic, record.key, record.value, ms)
        if number % 10 == 5:
            broker.append("clicks", record.key, b"{", ms)
        if number % 30 == 7:
            broker.append("dead-letters", record.key, letter_of(record), ms)
        if number % 10 == 8 and record.topic == "reviews":
            broker.append("scores", record.key, score_of(event.event_id, 0.25), ms)
        if number == 60:
            broker.take(Item("mug", "Dearer mug", True, ms, brand="Kiln", price=99.0), at_ms=ms)
        if number == 90:
            broker.append("items", b"cup", None, ms)
    return broker


def letter_of(record: ArchivedRecord) -> bytes:
    place = {"topic": record.topic, "partition": record.partition, "offset": record.offset}
    return msgspec.json.encode(place | {"field": "value", "reason": "native code died on it"})


def score_of(event_id: str, value: float) -> bytes:
    return msgspec.json.encode({"kind": "sentiment", "caused_by": event_id, "value": value, "user_id": "ann"})


class Replay:
    """All of an archive's records in memory, replayed from the beginning for every question."""

    def __init__(self, broker: Broker) -> None:
        # Stable: of equal times, items come first, then the topics in the order of the contract.
        topics = ["items", *TOPICS]
        inputs = [record for record in broker.records if record.topic in topics]
        self._records = sorted(inputs, key=lambda r: (r.appended_at_ms, topics.index(r.topic), r.partition, r.offset))
        letters = [msgspec.json.decode(r.value or b"") for r in broker.records if r.topic == "dead-letters"]
        self._refused = {(letter["topic"], letter["partition"], letter["offset"]) for letter in letters}
        scores = [msgspec.json.decode(r.value or b"") for r in broker.records if r.topic == "scores"]
        self._scores = {score["caused_by"]: score["value"] for score in scores}

    def applied(self) -> Iterator[tuple[Any, Position, UserState, Shelf]]:
        """Every event that counts, with its user's state after it."""
        states: dict[str, UserState] = {}
        shelf = Shelf()
        for record in self._records:
            position = Position(record.topic, record.partition, record.offset)
            if record.topic == "items":
                shelf.put(record)
                continue
            try:
                event = decode_event(record.topic, record.key, record.value, record.appended_at_ms).event
            except DecodeError:
                continue
            state = states.setdefault(event.user_id, UserState())
            if tuple(position) in self._refused:
                continue
            if update(state, event, position, self._scores.get(event.event_id)) is Outcome.APPLIED:
                yield event, position, state, shelf

    def user(self, user_id: str, at_ms: int) -> Values | None:
        values: Values | None = None
        for event, _, state, shelf in self.applied():
            if event.user_id == user_id and event.occurred_at_ms == state.newest_ms <= at_ms:
                values = features(state, state.newest_ms, shelf).as_dict()
        return values

    def item(self, item_id: str, at_ms: int) -> Values | None:
        values: Values | None = None
        state = ItemState()
        for event, position, _, shelf in self.applied():
            if isinstance(event, Click | Cart) and event.item_id == item_id:
                update_item(state, event, position)
                item = shelf.item(item_id)
                if item is not None and event.occurred_at_ms == state.newest_ms <= at_ms:
                    values = item_features(state, item, state.newest_ms).as_dict()
        return values


def instants(broker: Broker, ids: Sequence[str]) -> list[tuple[str, int]]:
    """The times of all records, and some in between, of every id."""
    times_ms = sorted({record.appended_at_ms for record in broker.records if record.appended_at_ms > NOON_MS})
    return [(entity_id, ms + extra) for entity_id in ids for ms in times_ms[20:] for extra in (0, 7_000)]


@pytest.mark.parametrize(
    ("view", "ids", "reckoned"),
    [("user_features", SHOPPERS, Replay.user), ("item_features", ("mug", "cup", "plate"), Replay.item)],
)
def test_feast_and_our_own_replay_give_the_same_values_at_the_same_instants(
    view: str, ids: Sequence[str], reckoned: Callable[[Replay, str, int], Values | None], tmp_path: Path, ask: Ask
) -> None:
    broker = busy_shop()
    archive = broker.archive(tmp_path / "archive")
    wanted = random.Random(1).sample(instants(broker, ids), 60)
    replay = Replay(broker)

    report = write_feature_values(archive)

    answers = ask(archive, view, wanted)
    assert answers == [reckoned(replay, *each) for each in wanted]
    assert len({tuple(answer.values()) for answer in answers}) > 10
    assert report.rows[view] == pq.read_metadata(view_path(archive, view)).num_rows
    assert report.records["applied"] > 80
    assert min(report.records[outcome] for outcome in ("duplicate", "refused", "item")) > 3


def test_no_value_of_an_instant_knows_a_purchase_that_comes_after_it(tmp_path: Path, ask: Ask) -> None:
    plain, planted = Broker(), Broker()
    clicks = [Click(f"e{number}", "ann", "mug", NOON_MS + number * HOUR_MS) for number in range(10)]
    bought_ms = NOON_MS + 5 * HOUR_MS + 60_000
    for broker in (plain, planted):
        broker.take(Item("mug", "Mug", True, NOON_MS - 1, category="ware", price=4.5))
        for event in clicks:
            if broker is planted and event is clicks[6]:
                broker.take(Cart("planted", "ann", "mug", "purchase", 2, 40.0, bought_ms))
            broker.take(event)
    archives = plain.archive(tmp_path / "plain"), planted.archive(tmp_path / "planted")
    for archive in archives:
        write_feature_values(archive)
    asked = [event.occurred_at_ms for event in clicks] + [bought_ms - 1, bought_ms]

    for view, entity_id in (("user_features", "ann"), ("item_features", "mug")):
        without, with_it = (ask(archive, view, [(entity_id, ms) for ms in asked]) for archive in archives)

        assert [ms for ms, before, after in zip(asked, without, with_it, strict=True) if before == after] == [
            ms for ms in asked if ms < bought_ms
        ]


def test_purchase_that_arrives_before_what_it_followed_is_not_known_to_that(tmp_path: Path, ask: Ask) -> None:
    broker = Broker()
    broker.take(Click("e1", "ann", "mug", NOON_MS))
    # Its time is four minutes ahead of the broker's, as a shop's clock may be.
    bought_ms = NOON_MS + 300_000
    broker.take(Cart("planted", "ann", "mug", "purchase", 2, 40.0, bought_ms), at_ms=NOON_MS + 60_000)
    for number in range(4):
        broker.take(Click(f"f{number}", "ann", "mug", NOON_MS + 61_000 + number * 1_000))
    archive = broker.archive(tmp_path / "archive")
    write_feature_values(archive)

    asked = [NOON_MS, NOON_MS + 61_000, NOON_MS + 64_000, bought_ms - 1, bought_ms, bought_ms + HOUR_MS]
    answers = ask(archive, "user_features", [("ann", ms) for ms in asked])

    assert [answer["purchases_90d"] for answer in answers] == [0, 0, 0, 0, 1, 1]


def test_values_are_those_after_all_events_of_a_moment(tmp_path: Path, ask: Ask) -> None:
    broker = Broker()
    for number in range(3):
        broker.take(Cart(f"e{number}", "ann", f"item {number}", "purchase", 1, 2.0, NOON_MS), at_ms=NOON_MS)
    archive = broker.archive(tmp_path / "archive")

    report = write_feature_values(archive)

    assert report.rows == {"user_features": 1, "item_features": 0}
    assert ask(archive, "user_features", [("ann", NOON_MS)])[0]["purchases_90d"] == 3


def test_rewritten_values_replace_those_before_and_a_failed_replay_leaves_them(tmp_path: Path) -> None:
    broker = Broker()
    broker.take(Click("e1", "ann", "mug", NOON_MS))
    write_feature_values(broker.archive(tmp_path))
    path = view_path(tmp_path, "user_features")
    assert pq.read_metadata(path).num_rows == 1

    more = Broker()
    more.take(Click("e1", "ann", "mug", NOON_MS))
    more.take(Click("e2", "ann", "mug", NOON_MS + HOUR_MS))
    more.append("clicks", b"ann", b"{", NOON_MS + 2 * HOUR_MS)
    second, third = more.records[1:]
    write_segment(tmp_path, [second], "id-1")
    write_feature_values(tmp_path)
    assert pq.read_metadata(path).num_rows == 2

    write_segment(tmp_path, [third], "id-1").path(tmp_path).write_bytes(b"no Parquet")
    with pytest.raises(ArchiveError, match="cannot be read"):
        write_feature_values(tmp_path)
    assert pq.read_metadata(path).num_rows == 2
    assert [each.name for each in path.parent.iterdir() if each.name.startswith(".")] == []


def test_columns_are_those_that_the_view_declares(tmp_path: Path) -> None:
    broker = Broker()
    broker.take(Click("e1", "ann", "mug", NOON_MS))
    write_feature_values(broker.archive(tmp_path))

    table = pq.read_table(view_path(tmp_path, "user_features"))

    assert table.column_names == ["user_id", "event_timestamp", "created", *(feature.name for feature in FEATURES)]
    assert table["event_timestamp"].to_pylist() == [datetime.fromtimestamp(NOON_MS / 1000, UTC)]
    assert table["created"].to_pylist() == [datetime.fromtimestamp(NOON_MS / 1000 + 1, UTC)]
    assert np.isfinite(table["clicks_24h"].to_numpy()).all()


def test_folder_without_an_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="saw no folder of a topic of events"):
        write_feature_values(tmp_path)


def test_score_that_no_worker_writes_is_named(tmp_path: Path) -> None:
    broker = Broker()
    broker.take(Click("e1", "ann", "mug", NOON_MS))
    broker.append("scores", b"ann", b'{"kind": "sentiment"}', NOON_MS)

    with pytest.raises(ArchiveError, match=r"scores-\d offset 0: saw a record that no worker writes"):
        write_feature_values(broker.archive(tmp_path))
