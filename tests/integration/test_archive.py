"""The archiver on a real Kafka: killed, restarted, and held against what a plain client reads from the topics."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import polars
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic

from feature_repo.archive.layout import ArchiveError, find_segments
from feature_repo.archive.reading import read_records
from feature_repo.archive.records import ArchivedRecord
from streams import archiver
from streams.archive_report import Archived
from streams.archiver import Archiver
from streams.rolling import Limits
from streams.settings import Settings
from streams.topics import TOPICS
from tests.integration.killed_archiver import NEVER
from tests.waiting import wait_until

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

PARTITIONS = 3
KILLED_WITHIN_S = 120
MALFORMED = (None, b"", b"{", b"\xff\xfe\x00", b'{"event_id": 7}', b"x" * 50_000)


class Shop:
    """Two topics of a broker, and a folder for their archive."""

    def __init__(self, kafka: str, folder: Path) -> None:
        self.kafka, self.folder = kafka, folder
        self.topics = [f"{name}-{uuid.uuid4().hex[:12]}" for name in ("clicks", "items")]
        self.settings = Settings(kafka=kafka, home=folder, group=f"shop-{uuid.uuid4().hex[:12]}")
        self.admin = KafkaAdminClient(bootstrap_servers=kafka)
        self._producer = KafkaProducer(bootstrap_servers=kafka)
        self._chance = random.Random(3)
        for topic in self.topics:
            self.make(topic)

    def make(self, topic: str) -> None:
        configs = {"message.timestamp.type": "LogAppendTime"}
        self.admin.create_topics([NewTopic(topic, PARTITIONS, 1, topic_configs=configs)])
        self.admin.wait_for_topics([topic])

    def append(self, count: int, topic: str | None = None) -> None:
        """Append records to one topic or both, some of which are no events at all."""
        for number in range(count):
            value = self._chance.choice(MALFORMED) if number % 7 == 3 else self._chance.randbytes(200)
            headers = [("trace", self._chance.randbytes(4))] if number % 5 == 0 else None
            self._producer.send(
                topic or self._chance.choice(self.topics),
                key=None if value and number % 11 == 0 else b"key %d" % number,
                value=value,
                headers=headers,
                partition=self._chance.randrange(PARTITIONS),
            )
        self._producer.flush()

    def archiver(self, **limits: float) -> Archiver:
        return Archiver(self.settings, self.folder, self.topics, Limits(**limits))  # type: ignore[arg-type]  # by name

    def content(self) -> dict[TopicPartition, list[ArchivedRecord]]:
        """All records of the topics, as a plain client reads them."""
        partitions = [TopicPartition(topic, number) for topic in self.topics for number in range(PARTITIONS)]
        found: dict[TopicPartition, list[ArchivedRecord]] = {partition: [] for partition in partitions}
        consumer = KafkaConsumer(bootstrap_servers=self.kafka, enable_auto_commit=False)
        try:
            consumer.assign(partitions)
            consumer.seek_to_beginning()
            ends = consumer.end_offsets(partitions)
            while any(consumer.position(partition) < end for partition, end in ends.items()):
                for partition, records in consumer.poll(timeout_ms=500).items():
                    found[partition] += [
                        ArchivedRecord(r.topic, r.partition, r.offset, r.timestamp, r.key, r.value, tuple(r.headers))
                        for r in records
                    ]
        finally:
            consumer.close()
        return found

    def archived(self) -> dict[TopicPartition, list[ArchivedRecord]]:
        """All records of the archive."""
        found: dict[TopicPartition, list[ArchivedRecord]] = {
            TopicPartition(topic, number): [] for topic in self.topics for number in range(PARTITIONS)
        }
        for record in read_records(self.folder, self.topics):
            found[TopicPartition(record.topic, record.partition)].append(record)
        return found

    def committed(self) -> dict[TopicPartition, int | None]:
        """Offsets that the archiver's group has told the broker."""
        consumer = KafkaConsumer(
            bootstrap_servers=self.kafka, group_id=f"{self.settings.group}-archive", enable_auto_commit=False
        )
        try:
            return {
                TopicPartition(topic, number): consumer.committed(TopicPartition(topic, number))
                for topic in self.topics
                for number in range(PARTITIONS)
            }
        finally:
            consumer.close()

    def close(self) -> None:
        self._producer.close()
        self.admin.delete_topics(self.topics)
        self.admin.close()


@pytest.fixture
def shop(servers: Any, tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(servers.kafka, tmp_path / "archive")
    yield shop
    shop.close()


@contextmanager
def started(shop: Shop, moment: str, passes: int = 0) -> Iterator[subprocess.Popen[bytes]]:
    """Start an archiver that kills itself at a moment, after letting some pass; in the end it is killed anyway."""
    module = "tests.integration.killed_archiver"
    words = [shop.kafka, shop.settings.group, str(shop.folder), moment, str(passes), *shop.topics]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, "-m", module, *words], env=environment)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def test_archiver_killed_at_many_moments_leaves_exactly_the_topics(shop: Shop) -> None:
    moments = [
        ("before a file", 0),
        ("half a file", 3),
        ("before the disk has it", 9),
        ("before it has its name", 2),
        ("before the broker is told", 0),
        ("half a file", 0),
        ("before it has its name", 0),
    ]
    for moment, passes in moments:
        shop.append(600)
        with started(shop, moment, passes) as process:
            assert process.wait(KILLED_WITHIN_S) == -signal.SIGKILL, moment
        content = shop.content()
        assert all(records == content[each][: len(records)] for each, records in shop.archived().items()), moment
    shop.append(50)

    done = shop.archiver().run(once=True)

    content = shop.content()
    assert shop.archived() == content
    assert sum(map(len, content.values())) == 600 * len(moments) + 50
    assert 50 < done.records < 600 * len(moments)
    assert done.lag == 0
    assert list(shop.folder.glob("**/*.writing")) == []
    assert shop.committed() == {partition: records[-1].offset + 1 for partition, records in content.items()}
    values = {record.value for records in shop.archived().values() for record in records}
    assert values.issuperset(MALFORMED)


def test_archiver_killed_at_any_time_while_records_come_leaves_exactly_the_topics(shop: Shop) -> None:
    chance = random.Random(7)
    files = [0]
    for _ in range(4):
        with started(shop, NEVER) as process:

            def more_files(process: subprocess.Popen[bytes] = process) -> bool:
                assert process.poll() is None, "the archiver ended by itself"
                shop.append(100)
                return count_files(shop) > files[-1]

            wait_until(more_files, KILLED_WITHIN_S, "files of the archiver")
            threading.Event().wait(chance.random())
        files.append(count_files(shop))

    done = shop.archiver().run(once=True)

    assert shop.archived() == shop.content()
    assert files == sorted(set(files))
    assert done.lag == 0


def count_files(shop: Shop) -> int:
    return len(list(shop.folder.glob("topic=*/day=*/*.parquet")))


def test_duckdb_and_polars_read_what_the_topics_hold(shop: Shop) -> None:
    shop.append(500)
    shop.archiver(file_bytes=30_000).run(once=True)
    pattern = f"{shop.folder}/topic=*/day=*/*.parquet"

    with duckdb.connect() as connection:
        by_duckdb = connection.execute(
            f"SELECT topic, partition, \"offset\", appended_at_ms, key, value FROM '{pattern}' "
            'ORDER BY topic, partition, "offset"'
        ).fetchall()
    columns = ["topic", "partition", "offset", "appended_at_ms", "key", "value"]
    frame = polars.scan_parquet(pattern, hive_partitioning=True).select(columns)
    by_polars = frame.sort("topic", "partition", "offset").collect().rows()

    expected = [tuple(record[:6]) for _, records in sorted(shop.content().items()) for record in records]
    assert len(expected) == 500
    assert by_duckdb == expected
    assert by_polars == expected


class Running:
    """An archiver in a thread of its own."""

    def __init__(self, shop: Shop, limits: dict[str, float]) -> None:
        self.told: list[Archived] = []
        self._archiver = shop.archiver(**limits)
        self._stopped = threading.Event()
        self._raised: list[ArchiveError] = []
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def ended(self) -> bool:
        return not self._thread.is_alive()

    def end(self) -> None:
        """Stop it as Ctrl-C does; raises what it raised."""
        self._stopped.set()
        self._thread.join(60)
        assert self.ended(), "the archiver does not stop"
        if self._raised:
            raise self._raised[0]

    def _run(self) -> None:
        try:
            self._archiver.run(stop=self._stopped.is_set, progress=self.told.append)
        except ArchiveError as error:
            self._raised.append(error)


@contextmanager
def archiving(shop: Shop, **limits: float) -> Iterator[Running]:
    """Run an archiver, and wait until it has looked at the topics."""
    running = Running(shop, limits)
    try:
        wait_until(lambda: running.told, 60, "the archiver's first word")
        yield running
    finally:
        running.end()


def test_record_of_a_quiet_topic_is_archived_within_the_time_limit(shop: Shop) -> None:
    with archiving(shop, seconds=1.0):
        shop.append(1, shop.topics[1])
        wait_until(lambda: find_segments(shop.folder, shop.topics[1]), 30, "a file of the quiet topic")
    assert shop.archived() == shop.content()


def test_what_waits_is_written_when_the_archiver_is_stopped(shop: Shop) -> None:
    with archiving(shop, seconds=3600) as running:
        shop.append(100)
        wait_until(lambda: running.told[-1].lag == 100, 60, "the lag of what no file holds yet")
        assert list(shop.folder.glob("topic=*")) == []
    assert shop.archived() == shop.content()


def test_partitions_added_while_it_runs_are_archived(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archiver, "LOOK_S", 0.2)
    topic = shop.topics[0]
    with archiving(shop, seconds=0.5):
        shop.append(30)
        shop.admin.create_partitions({topic: PARTITIONS + 1})
        producer = KafkaProducer(bootstrap_servers=shop.kafka)
        try:
            wait_until(lambda: len(producer.partitions_for(topic)) > PARTITIONS, 60, "the new partition")
            producer.send(topic, b"new", partition=PARTITIONS).get(timeout=30)
        finally:
            producer.close()
        wait_until(lambda: PARTITIONS in find_segments(shop.folder, topic), 60, "a file of the new partition")
    new = [record for record in read_records(shop.folder, [topic]) if record.partition == PARTITIONS]
    assert [record.value for record in new] == [b"new"]
    assert sum(len(records) for records in shop.content().values()) == 30
    assert sum(1 for _ in read_records(shop.folder, shop.topics)) == 31


@pytest.mark.parametrize("again", [5, 600])
def test_topic_that_was_made_anew_is_refused(shop: Shop, again: int) -> None:
    topic = shop.topics[0]
    shop.append(200, topic)
    shop.archiver().run(once=True)
    before = shop.archived()
    shop.admin.delete_topics([topic])
    wait_until(lambda: topic not in shop.admin.list_topics(), 60, "the topic is deleted")
    shop.make(topic)
    shop.append(again, topic)

    with pytest.raises(ArchiveError, match=f"topic {topic}: saw one with the id .* deleted and made anew"):
        shop.archiver().run(once=True)

    assert shop.archived() == before


def test_topic_that_is_made_anew_while_it_is_archived_is_refused(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archiver, "LOOK_S", 0.2)
    topic = shop.topics[0]
    shop.append(200, topic)
    running = Running(shop, {"seconds": 0.2})
    try:
        wait_until(lambda: running.told and running.told[-1].records == 200, 60, "all records in files")
        before = shop.archived()
        shop.admin.delete_topics([topic])
        wait_until(lambda: topic not in shop.admin.list_topics(), 60, "the topic is deleted")
        shop.make(topic)
        shop.append(600, topic)
        wait_until(running.ended, 120, "the archiver ends by itself")
    finally:
        with pytest.raises(ArchiveError, match="deleted and made anew"):
            running.end()
    assert shop.archived() == before


def test_records_deleted_before_they_were_archived_are_told(shop: Shop) -> None:
    topic = shop.topics[0]
    shop.append(200, topic)
    shop.archiver().run(once=True)
    archived = shop.archived()
    shop.append(200, topic)
    first = {TopicPartition(topic, number): len(archived[TopicPartition(topic, number)]) + 10 for number in range(2)}
    shop.admin.delete_records(first)

    done = shop.archiver().run(once=True)

    assert done.topics[topic].missing == 20
    assert done.records == 180
    for partition, records in shop.archived().items():
        assert records == archived[partition] + [
            record
            for record in shop.content()[partition]
            if record.offset >= first.get(partition, len(archived[partition]))
        ]


def test_archive_verb_counts_what_it_wrote_and_writes_nothing_twice(servers: Any, tmp_path: Path) -> None:
    environment = os.environ | {
        "LASTCLICK_KAFKA": servers.kafka,
        "LASTCLICK_HOME": str(tmp_path),
        "PYTHONPATH": os.pathsep.join(sys.path),
    }

    def archive() -> Any:
        command = [sys.executable, "-m", "streams.cli", "archive", "--once", "--json"]
        return json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)

    first = archive()
    producer = KafkaProducer(bootstrap_servers=servers.kafka)
    for number in range(3):
        producer.send("clicks", b"no event", key=b"%d" % number)
    producer.close()
    second = archive()

    assert set(first["topics"]) == {topic.name for topic in TOPICS}
    assert second["topics"]["clicks"]["records"] == 3
    clicks = [record for record in read_records(tmp_path / "archive", ["clicks"]) if record.value == b"no event"]
    assert sorted(record.key or b"" for record in clicks)[-3:] == [b"0", b"1", b"2"]
    count = sum(1 for _ in read_records(tmp_path / "archive", [topic.name for topic in TOPICS]))
    assert count == first["records"] + second["records"]
