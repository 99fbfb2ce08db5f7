"""The archiver: topics in; their records in Parquet files, each record once, out.

A file's name says which offsets it holds, and files come to be whole or not at all (`feature_repo.archive.writing`). So
the folder is the truth of what is archived: a start, also after a kill at any moment, goes on behind the last offset
that a name there says. The group's offsets are only told to the broker, for tools that show lag.

One archiver writes to a folder at a time: a lock on the folder, which the system takes away with the process, prevents
a second one. A topic that was deleted and made anew has another id: it is looked up after records were fetched and
before their file is written, and files of two topics never stand beside each other.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import closing
from itertools import groupby
from pathlib import Path
from typing import Any, TypeVar

from kafka import KafkaConsumer, OffsetAndMetadata, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError, OffsetOutOfRangeError, RetriableError, UnknownTopicOrPartitionError, for_code

from feature_repo.archive.layout import ArchiveError, day_of, find_segments
from feature_repo.archive.records import ArchivedRecord
from feature_repo.archive.writing import locked, remove_unfinished, topic_id_of, write_segment
from streams.archive_report import Archived, TopicCounts
from streams.rolling import Limits, Rolling
from streams.settings import Settings

log = logging.getLogger(__name__)

POLL_MS = 500
RECORDS_A_POLL = 5_000
FETCH_BYTES = 16 * 1024 * 1024
"""Most bytes of one answer of a broker, beside what waits for its file."""

LOOK_S = 5.0
"""Seconds between two looks for new partitions, and for topics that were made anew."""

TELL_S = 1.0
COMMIT_MS = 5_000
PATIENCE_S = 1.0
"""Seconds between two tries while the broker does not answer."""

Result = TypeVar("Result")

LookUp = Callable[[list[TopicPartition]], dict[TopicPartition, int]]
Progress = Callable[[Archived], None]


class Archiver:
    """Writes topics to a folder.

    Parameters
    ----------
    settings
        Address of the broker; the archiver's group is named after the workers'.
    folder
        The archive; made when it is not there.
    topics
        Names of the topics, which exist.
    limits
        When records become a file.
    """

    def __init__(self, settings: Settings, folder: Path, topics: Sequence[str], limits: Limits | None = None) -> None:
        self._settings, self._folder, self._topics = settings, folder, list(topics)
        self._rolling = Rolling(limits or Limits())
        self._ids: dict[str, str] = {}
        self._next: dict[TopicPartition, int] = {}
        self._on_disk: dict[TopicPartition, int] = {}
        self._stop: Callable[[], bool] = lambda: False
        self.done = Archived(str(folder), {topic: TopicCounts() for topic in self._topics})

    def run(
        self, *, once: bool = False, stop: Callable[[], bool] = lambda: False, progress: Progress = lambda done: None
    ) -> Archived:
        """Archive until ``stop`` says so, or with ``once`` until what is on the topics now is archived.

        Whatever was fetched is written before this returns; while the broker does not answer, it is left for the next
        start.

        Raises
        ------
        ArchiveError
            When another archiver writes to the folder, a topic is not the one archived before, or a file cannot be
            written. Started again after that is mended, it goes on where the archive ends.
        """
        self._stop = stop
        addresses = self._settings.kafka.split(",")
        with locked(self._folder):
            self._recall()
            try:
                with (
                    closing(
                        KafkaAdminClient(bootstrap_servers=addresses, client_id="lastclick-archive")
                    ) as self._admin,
                    closing(self._consuming(addresses)) as self._consumer,
                ):
                    self._archive(once, progress)
            except _Stopped:
                log.warning("stopped while the broker did not answer; what was not written yet is read again next time")
            except KafkaError as error:
                raise ArchiveError(
                    f"the archiver could not go on: saw {error!r} from the broker at {self._settings.kafka}; mend it "
                    "and start the archiver again: it goes on where the archive ends"
                ) from error
        return self.done

    def _consuming(self, addresses: list[str]) -> KafkaConsumer:
        return KafkaConsumer(
            bootstrap_servers=addresses,
            client_id="lastclick-archive",
            group_id=f"{self._settings.group}-archive",
            enable_auto_commit=False,
            # An offset that the broker does not have is looked into, not jumped over.
            auto_offset_reset="none",
            max_poll_records=RECORDS_A_POLL,
            fetch_max_bytes=FETCH_BYTES,
        )

    def _recall(self) -> None:
        """See from the folder where to go on, and which topics it holds."""
        left = remove_unfinished(self._folder)
        if left:
            log.info("removed %d files that an archiver had left half written", left)
        for topic in self._topics:
            for number, segments in find_segments(self._folder, topic).items():
                self._next[TopicPartition(topic, number)] = segments[-1].last + 1
                self._ids[topic] = topic_id_of(self._folder, segments[-1])

    def _archive(self, once: bool, progress: Progress) -> None:
        started = looked = told = time.monotonic()
        self._look()
        left = self._ends() if once else {}
        while not self._stop():
            self._fetch()
            self._write(self._rolling.due())
            now = time.monotonic()
            self.done.seconds = now - started
            left = {partition: end for partition, end in left.items() if self._consumer.position(partition) < end}
            if once and not left:
                break
            if now - looked >= LOOK_S:
                self._look()
                looked = now
            if now - told >= TELL_S:
                self._tell(progress)
                told = now
        self._write(self._rolling.partitions())
        self.done.seconds = time.monotonic() - started
        self._tell(progress)

    def _look(self) -> None:
        """Take on new partitions, from where the archive ends."""
        found = self._check_topics()
        if not found - self._on_disk.keys():
            return
        self._consumer.assign(sorted(found))
        self._place(found)
        for partition in found:
            self._on_disk.setdefault(partition, self._next[partition])

    def _place(self, partitions: Collection[TopicPartition]) -> None:
        """Go to the next offset of each partition, or to the first one that the broker still has."""
        firsts = self._offsets(self._consumer.beginning_offsets, partitions)
        ends = self._offsets(self._consumer.end_offsets, partitions)
        for partition in partitions:
            topic, number = partition
            first, end = firsts[partition], ends[partition]
            wanted = self._next.get(partition, first)
            if wanted > end:
                raise ArchiveError(
                    f"{topic}-{number}: saw {end} as the topic's end, expected at least {wanted}, up to which it is "
                    f"archived in {self._folder}: the broker has lost records; archive to another folder (--out), or "
                    "move the topic's folder away"
                )
            if wanted < first:
                log.warning(
                    "%s-%d: the broker has deleted offsets %d to %d before they were archived; keep the archiver "
                    "running, or records for longer",
                    *(topic, number, wanted, first - 1),
                )
                self.done.topics[topic].missing += first - wanted
                wanted = first
            self._next[partition] = wanted
            self._consumer.seek(partition, wanted)

    def _fetch(self) -> None:
        """Let what the broker has next wait for its files."""
        try:
            fetched = self._patiently(lambda: self._consumer.poll(timeout_ms=POLL_MS))
        except OffsetOutOfRangeError as error:
            self._check_topics()
            self._place(error.args[0])
            return
        for partition, records in fetched.items():
            self._rolling.add(partition, [_archived(record) for record in records])
            self._next[partition] = records[-1].offset + 1

    def _write(self, partitions: Collection[TopicPartition]) -> None:
        """Make files of what waits of these partitions, and tell the broker how far they are archived."""
        if not partitions:
            return
        self._check_topics()
        for partition in partitions:
            counts = self.done.topics[partition.topic]
            records = self._rolling.take(partition)
            for _, of_a_day in groupby(records, key=lambda record: day_of(record.appended_at_ms)):
                segment = write_segment(self._folder, list(of_a_day), self._ids[partition.topic])
                self._on_disk[partition] = segment.last + 1
                counts.files += 1
            counts.records += len(records)
        try:
            offsets = {partition: OffsetAndMetadata(self._on_disk[partition], "", -1) for partition in partitions}
            self._consumer.commit(offsets, timeout_ms=COMMIT_MS)
        except KafkaError as error:
            log.warning(
                "could not tell the broker how far the archive is (%r); only tools that show lag miss it", error
            )

    def _check_topics(self) -> set[TopicPartition]:
        """Partitions of the topics, now that it is sure that these are the topics that the folder holds.

        To be called between fetching records and writing them: an id is never given twice, so what was fetched before
        was of that topic too.
        """
        found: set[TopicPartition] = set()
        for topic in self._patiently(self._describe):
            name, seen = topic["name"], str(topic["topic_id"])
            expected = self._ids.setdefault(name, seen)
            if seen != expected:
                raise ArchiveError(
                    f"topic {name}: saw one with the id {seen} on the broker, expected {expected}, which is archived "
                    f"in {self._folder}: the topic was deleted and made anew, and its offsets begin again; archive to "
                    "another folder (--out), or move the topic's folder away"
                )
            found |= {TopicPartition(name, partition["partition_index"]) for partition in topic["partitions"]}
        return found

    def _describe(self) -> list[dict[str, Any]]:
        topics: list[dict[str, Any]] = self._admin.describe_topics(self._topics)
        for topic in topics:
            if topic["error_code"]:
                raise for_code(topic["error_code"])(f"topic {topic['name']}")
        return topics

    def _tell(self, progress: Progress) -> None:
        """Reckon what is not archived yet, and tell about it."""
        lags = dict.fromkeys(self._topics, 0)
        for partition, end in self._ends().items():
            lags[partition.topic] += max(0, end - self._on_disk[partition])
        for topic, lag in lags.items():
            self.done.topics[topic].lag = lag
        progress(self.done)

    def _ends(self) -> dict[TopicPartition, int]:
        return self._offsets(self._consumer.end_offsets, self._on_disk)

    def _offsets(self, look_up: LookUp, partitions: Collection[TopicPartition]) -> dict[TopicPartition, int]:
        """Offsets of all these partitions, as soon as the consumer knows where they are."""

        def looked_up() -> dict[TopicPartition, int]:
            try:
                return look_up(list(partitions))
            except KeyError as error:
                # What kafka-python answers for a partition that was added, or whose topic was deleted, since its
                # last look at the cluster; it looks again then.
                raise UnknownTopicOrPartitionError(f"{error.args[0]}") from error

        return self._patiently(looked_up)

    def _patiently(self, call: Callable[[], Result]) -> Result:
        """Result of ``call``, tried again while the broker does not answer; `_Stopped` when told to stop meanwhile."""
        while True:
            try:
                return call()
            except RetriableError as error:
                log.warning("the broker did not answer (%r); trying again in %.0f s", error, PATIENCE_S)
                if self._stop():
                    raise _Stopped from error
                time.sleep(PATIENCE_S)


class _Stopped(Exception):
    """The archiver was told to stop while it waited for the broker."""


def _archived(record: Any) -> ArchivedRecord:
    """A consumed record, as the archive keeps it."""
    headers = tuple((key, value) for key, value in record.headers or ())
    return ArchivedRecord(
        record.topic, record.partition, record.offset, record.timestamp, record.key, record.value, headers
    )
