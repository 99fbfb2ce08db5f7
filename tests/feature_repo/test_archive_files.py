"""Files of the archive: their names, what they hold for whom, and that they are whole or not there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import date
from pathlib import Path

import duckdb
import polars
import pytest

from feature_repo.archive.layout import ArchiveError, Segment, archived_topics, day_of, find_segments
from feature_repo.archive.reading import count_events, read_records
from feature_repo.archive.records import ArchivedRecord
from feature_repo.archive.writing import locked, remove_unfinished, topic_id_of, write_segment
from feature_repo.events import Cart, Click
from tests.feature_repo.archives import NOON_MS, Broker, write

DAY_MS = 86_400_000
CLICK = Click("e1", "ann", "mug", NOON_MS)
CART = Cart("e2", "ann", "mug", "add", 1, 4.5, NOON_MS)
MALFORMED = (None, b"", b"{", b"\xff\xfe\x00", b'{"event_id": 7}', b"x" * 100_000, "schön 猫".encode())


def test_name_says_topic_day_partition_and_offsets(tmp_path: Path) -> None:
    segment = Segment("item-counts", 3, 100, 199, date(2026, 11, 22))

    path = segment.path(tmp_path)

    name = "item-counts-00003-00000000000000000100-00000000000000000199.parquet"
    assert path == tmp_path / "topic=item-counts" / "day=2026-11-22" / name
    path.parent.mkdir(parents=True)
    path.touch()
    assert find_segments(tmp_path, "item-counts") == {3: [segment]}
    assert archived_topics(tmp_path) == ["item-counts"]


def test_day_is_that_of_utc() -> None:
    assert day_of(NOON_MS + DAY_MS // 2 - 1) == date(2023, 11, 15)
    assert day_of(NOON_MS + DAY_MS // 2) == date(2023, 11, 16)


@pytest.mark.parametrize(
    "name",
    [
        "part-0.parquet",
        "clicks-00000-00000000000000000005-00000000000000000004.parquet",
        "carts-00000-00000000000000000000-00000000000000000004.parquet",
    ],
)
def test_file_that_the_archiver_has_not_named_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "topic=clicks" / "day=2026-11-22" / name
    path.parent.mkdir(parents=True)
    path.touch()

    with pytest.raises(ArchiveError, match=f"{name}: saw a file that the archiver has not named"):
        find_segments(tmp_path, "clicks")


def test_two_files_with_the_same_offset_are_refused(tmp_path: Path) -> None:
    records = [ArchivedRecord("clicks", 0, offset, NOON_MS, b"k", b"v") for offset in range(10)]
    write_segment(tmp_path, records[:6], "id-1")
    write_segment(tmp_path, records[5:], "id-1")

    with pytest.raises(ArchiveError, match=r"saw offsets that .* holds too"):
        find_segments(tmp_path, "clicks")


def test_every_byte_of_every_record_comes_back_in_the_order_of_arrival(tmp_path: Path) -> None:
    broker = Broker()
    for number, value in enumerate(MALFORMED):
        broker.append("clicks", b"ann", value, NOON_MS + number)
        broker.append("carts", None, value, NOON_MS + number, headers=(("trace", b"\x00\xff"), ("none", None)))
    broker.take(CLICK, NOON_MS + 2 * DAY_MS)
    broker.take(CART, NOON_MS + DAY_MS)
    broker.archive(tmp_path)

    # Of equal times, in the order of topics asked for.
    assert list(read_records(tmp_path, ["clicks", "carts"])) == [
        *broker.records[: 2 * len(MALFORMED)],
        broker.records[-1],
        broker.records[-2],
    ]
    assert list(read_records(tmp_path, ["reviews"])) == []


def test_records_keep_the_order_of_their_partition_when_the_clock_went_back(tmp_path: Path) -> None:
    records = [ArchivedRecord("clicks", 0, offset, NOON_MS - offset, b"k", b"v") for offset in range(5)]
    write(tmp_path, records)

    assert list(read_records(tmp_path, ["clicks"])) == records


def test_valid_events_are_counted_without_reading_them(tmp_path: Path) -> None:
    broker = Broker()
    for value in MALFORMED:
        broker.append("clicks", b"ann", value, NOON_MS)
    broker.take(CLICK)
    broker.take(CART)
    broker.append("clicks", b"bob", broker.records[-2].value, NOON_MS)  # another one's key

    assert count_events(broker.archive(tmp_path), ["clicks", "carts", "reviews"]) == 2


def test_duckdb_reads_the_archive(tmp_path: Path) -> None:
    broker = Broker()
    broker.take(CLICK)
    broker.append("clicks", b"ann", MALFORMED[3], NOON_MS + DAY_MS)
    broker.take(CART)
    broker.archive(tmp_path)

    with duckdb.connect() as connection:
        rows = connection.execute(
            'SELECT topic, day, partition, "offset", appended_at_ms, key, value, event_id, user_id, item_id, '
            f"occurred_at_ms FROM '{tmp_path}/topic=*/day=*/*.parquet' ORDER BY appended_at_ms, topic"
        ).fetchall()

    valid, place = ("ann", "mug", NOON_MS), (sum(b"ann") % 2,)
    carts, clicks, malformed = broker.records[2], broker.records[0], broker.records[1]
    assert rows == [
        ("carts", date(2023, 11, 15), *place, 0, NOON_MS + 1_000, b"ann", carts.value, "e2", *valid),
        ("clicks", date(2023, 11, 15), *place, 0, NOON_MS + 1_000, b"ann", clicks.value, "e1", *valid),
        ("clicks", date(2023, 11, 16), *place, 1, NOON_MS + DAY_MS, b"ann", malformed.value, None, None, None, None),
    ]


def test_polars_reads_the_archive(tmp_path: Path) -> None:
    broker = Broker()
    for value in MALFORMED:
        broker.append("clicks", b"ann", value, NOON_MS, headers=(("trace", b"1"),))
    broker.take(CART)
    broker.archive(tmp_path)

    frame = polars.scan_parquet(tmp_path / "topic=*/day=*/*.parquet", hive_partitioning=True)
    clicks = frame.filter(polars.col("topic") == "clicks").sort("offset").collect()

    assert clicks["value"].to_list() == list(MALFORMED)
    assert clicks["day"].to_list() == [date(2023, 11, 15)] * len(MALFORMED)
    assert clicks["headers"].to_list() == [[{"key": "trace", "value": b"1"}]] * len(MALFORMED)
    assert frame.select(polars.len()).collect().item() == len(MALFORMED) + 1


KILLED_AT = """
import os, signal, sys
from pathlib import Path
import pyarrow.parquet
from feature_repo.archive import writing
from tests.feature_repo.test_archive_files import numbered

folder, moment = Path(sys.argv[1]), sys.argv[2]
def kill(*_, **__): os.kill(os.getpid(), signal.SIGKILL)
def half(table, file, **options):
    file.write(b"PAR1 and then no more")
    file.flush()
    kill()
if moment == "half written": writing.pq.write_table = half
if moment == "not on the disk": writing.os.fsync = kill
if moment == "not renamed": Path.rename = kill
if moment == "renamed": writing._sync_folder = lambda path: kill() if path.name.startswith("day=") else None
writing.write_segment(folder, numbered(10, 20), "id-1")
"""


def numbered(first: int, end: int) -> list[ArchivedRecord]:
    return [ArchivedRecord("clicks", 0, offset, NOON_MS, b"k", b"%d" % offset) for offset in range(first, end)]


@pytest.mark.parametrize(
    ("moment", "kept"), [("half written", 10), ("not on the disk", 10), ("not renamed", 10), ("renamed", 20)]
)
def test_killed_writer_leaves_a_whole_file_or_none(tmp_path: Path, moment: str, kept: int) -> None:
    write_segment(tmp_path, numbered(0, 10), "id-1")
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}

    ended = subprocess.run([sys.executable, "-c", KILLED_AT, str(tmp_path), moment], env=environment, check=False)

    assert ended.returncode == -signal.SIGKILL
    assert list(read_records(tmp_path, ["clicks"])) == numbered(0, kept)
    assert remove_unfinished(tmp_path) == (0 if moment == "renamed" else 1)
    assert remove_unfinished(tmp_path) == 0
    if kept == 10:
        write_segment(tmp_path, numbered(10, 20), "id-1")
    assert list(read_records(tmp_path, ["clicks"])) == numbered(0, 20)


def test_file_knows_the_topic_it_was_written_from(tmp_path: Path) -> None:
    segment = write_segment(tmp_path, numbered(0, 1), "pQ7-x")

    assert topic_id_of(tmp_path, segment) == "pQ7-x"
    segment.path(tmp_path).write_bytes(b"PAR1PAR1")
    with pytest.raises(ArchiveError, match=r"cannot be read .* restore it from a copy"):
        topic_id_of(tmp_path, segment)
    with pytest.raises(ArchiveError, match=r"cannot be read .* restore it from a copy"):
        list(read_records(tmp_path, ["clicks"]))


def test_second_archiver_of_a_folder_is_refused_and_a_later_one_is_not(tmp_path: Path) -> None:
    with locked(tmp_path), pytest.raises(ArchiveError, match="another archiver writes to it"), locked(tmp_path):
        pytest.fail("two archivers at once")
    with locked(tmp_path):
        assert tmp_path.exists()


def test_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ArchiveError, match=r"file/archive: cannot be written to"), locked(tmp_path / "file/archive"):
        pytest.fail("there is no folder")
    with pytest.raises(ArchiveError, match="could not be written"):
        write_segment(tmp_path / "file", numbered(0, 1), "id-1")
