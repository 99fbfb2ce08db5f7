"""Files of item ids in order: read, checked, and split into what trains, what validates and what tests.

In: one user a line (`split_users`), or sessions and prefixes with their targets (`split_sessions`), plain or gzipped.
Out: a `Split`, with items as rows of one table; row 0 stands for no item, and for an item that is not known.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

LEAST_ITEMS = 3
"""Items of a user who is tested: one to read, one that validates, one that tests."""
SESSIONS_VALIDATE = 0.05
"""Share of the training sessions, at the file's end, that validates."""

_GZIP = b"\x1f\x8b"


class SequencesError(ValueError):
    """A file that can't be read as sequences: names it and the line, what was seen and what was expected."""


@dataclass(frozen=True)
class Sequences:
    """Sequences of items, one behind the other.

    Parameters
    ----------
    rows
        int64 [N], rows of the items, the oldest of each sequence first.
    starts
        int64 [S + 1], where each sequence starts; the last is N.
    """

    rows: NDArray[np.int64]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Items of each sequence, int64 [S]."""
        return np.diff(self.starts)

    def of(self, number: int) -> NDArray[np.int64]:
        """Give the rows of one sequence."""
        return self.rows[self.starts[number] : self.starts[number + 1]]

    def padded(self, numbers: NDArray[np.int64], longest: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Give the newest `longest` items of some sequences, left-aligned.

        Returns
        -------
        tuple
            Rows, int64 [B, L] with 0 for padding, L at least 1; and lengths, int64 [B].
        """
        end = self.starts[numbers + 1]
        return gathered(self.rows, np.maximum(self.starts[numbers], end - longest), end)


@dataclass(frozen=True)
class Moments:
    """Q moments to rank all items at.

    Parameters
    ----------
    histories
        What happened before each.
    targets
        int64 [Q], row of the item that came next; 0 when it is not known.
    """

    histories: Sequences
    targets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.targets)

    def drawn(self, most: int, seed: int) -> Moments:
        """Draw at most `most` of the moments, in their order."""
        if len(self) <= most:
            return self
        chosen = np.sort(np.random.default_rng(seed).choice(len(self), most, replace=False))
        return Moments(chain(self.histories.of(int(number)) for number in chosen), self.targets[chosen])


@dataclass(frozen=True)
class Split:
    """What is trained on, validated and tested, without overlap.

    Parameters
    ----------
    source
        Names of the files.
    digest
        sha256 of their contents.
    items
        Rows of the item table R, row 0 included.
    training
        What a model may learn from while validation decides.
    validation, test
        The moments that decide, and those that are measured once.
    known
        What a model may learn from when validation has decided: training and validation items.
    mask_seen
        Whether items of the history are left out of the ranking.
    left_out
        Counts of what can't be tested or hit, by reason.
    """

    source: str
    digest: str
    items: int
    training: Sequences
    validation: Moments
    test: Moments
    known: Sequences
    mask_seen: bool
    left_out: dict[str, int]


def chain(sequences: Iterable[NDArray[np.int64]]) -> Sequences:
    """Put sequences of rows one behind the other."""
    parts = [np.zeros(0, dtype=np.int64), *sequences]
    starts = np.cumsum([len(part) for part in parts], dtype=np.int64)
    return Sequences(np.concatenate(parts).astype(np.int64), starts)


def gathered(
    rows: NDArray[np.int64], start: NDArray[np.int64], end: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Gather the spans [start, end), int64 [B] each: padded rows int64 [B, L], L at least 1, and lengths [B]."""
    lengths = end - start
    place = np.arange(max(int(lengths.max(initial=0)), 1))
    inside = place < lengths[:, None]
    if len(rows) == 0:
        return np.zeros(inside.shape, dtype=np.int64), lengths
    return np.where(inside, rows[np.where(inside, start[:, None] + place, 0)], 0), lengths


def split_users(path: Path) -> Split:
    """Read a file with a user a line, and leave one out: the last item tests, the last but one validates.

    Parameters
    ----------
    path
        A line holds a user id and then item ids in order, the oldest first, separated by blanks. Users with fewer
        than three items train only.

    Raises
    ------
    SequencesError
        When the file can't be read, a line has no item, a user comes twice, or nobody has three items.
    """
    first_line: dict[str, int] = {}
    table = _Table()
    users: list[NDArray[np.int64]] = []
    content = _content(path)
    for number, (user_id, *item_ids) in _lines(path, content):
        if not item_ids:
            raise SequencesError(
                f"{path}, line {number}: saw one column ({user_id!r:.40}), expected a user id and then item ids, "
                "separated by blanks"
            )
        if user_id in first_line:
            raise SequencesError(
                f"{path}, line {number}: saw user {user_id!r:.40} again, first on line {first_line[user_id]}; expected "
                "one line a user: join the two"
            )
        first_line[user_id] = number
        users.append(table.rows(item_ids))
    sequences = chain(users)
    if not users:
        raise SequencesError(f"{path}: saw an empty file, expected a line a user: user id, then item ids in order")
    return leave_one_out(sequences, table.size, source=str(path), digest=hashlib.sha256(content).hexdigest())


def leave_one_out(sequences: Sequences, items: int, *, source: str, digest: str) -> Split:
    """Split users' sequences: the last item of those with three or more tests, the last but one validates.

    Raises
    ------
    SequencesError
        When nobody has three items.
    """
    users = [sequences.of(number) for number in range(len(sequences))]
    tested = [rows for rows in users if len(rows) >= LEAST_ITEMS]
    if not tested:
        raise SequencesError(
            f"{source}: saw no user with {LEAST_ITEMS} items or more ({len(users)} users), expected at least one: the "
            "last item tests, the last but one validates"
        )
    targets = np.array([rows[-1] for rows in tested], dtype=np.int64)
    return Split(
        source=source,
        digest=digest,
        items=items,
        training=chain(rows[:-2] if len(rows) >= LEAST_ITEMS else rows for rows in users),
        validation=Moments(chain(rows[:-2] for rows in tested), np.array([rows[-2] for rows in tested])),
        test=Moments(chain(rows[:-1] for rows in tested), targets),
        known=chain(rows[:-1] if len(rows) >= LEAST_ITEMS else rows for rows in users),
        mask_seen=True,
        left_out={
            "users_with_fewer_than_3_items": len(users) - len(tested),
            "targets_seen_before": sum(rows[-1] in rows[:-1] for rows in tested),
        },
    )


def without_last(split: Split) -> Split:
    """Forget each user's test item and split again: choices made on this split never saw what is tested.

    Its test items are the validation items of `split`. Users left with fewer than three items train only.
    """
    return leave_one_out(
        split.known, split.items, source=f"{split.source} without last items", digest=f"{split.digest} without last"
    )


def split_sessions(train: Path, test: Path) -> Split:
    """Read training sessions, and test prefixes with their targets.

    Parameters
    ----------
    train
        A session a line: item ids in order, separated by blanks. The sessions at the file's end validate.
    test
        A prefix a line: item ids in order, a tab, and the item that came next. Items that no training session holds
        are not known: they are not read, and can't be hit.

    Raises
    ------
    SequencesError
        When a file can't be read, is empty, or a line is not as expected.
    """
    table = _Table()
    contents = _content(train), _content(test)
    sessions = [table.rows(item_ids) for _, item_ids in _lines(train, contents[0])]
    validating = max(1, round(len(sessions) * SESSIONS_VALIDATE))
    if len(sessions) < 2:
        raise SequencesError(f"{train}: saw {len(sessions)} sessions, expected at least two, a session a line")
    validation = list(_prefixes(sessions[-validating:]))
    if not validation:
        raise SequencesError(
            f"{train}: saw no session of two items among the last {validating}, which validate; expected at least one"
        )
    prefixes, targets = [], []
    for number, item_ids in _lines(test, contents[1], separator="\t"):
        if len(item_ids) != 2 or not item_ids[0].split() or len(item_ids[1].split()) != 1:
            raise SequencesError(
                f"{test}, line {number}: saw {len(item_ids)} column(s) ({item_ids[0]!r:.40}), expected item ids in "
                "order, a tab, and the item that came next"
            )
        rows = table.known_rows(item_ids[0].split())
        prefixes.append(rows[rows > 0])
        targets.append(int(table.known_rows(item_ids[1].split())[0]))
    if not targets:
        raise SequencesError(f"{test}: saw an empty file, expected a prefix, a tab and a target a line")
    return Split(
        source=f"{train} {test}",
        digest=hashlib.sha256(b"".join(hashlib.sha256(content).digest() for content in contents)).hexdigest(),
        items=table.size,
        training=chain(sessions[:-validating]),
        validation=Moments(chain(prefix for prefix, _ in validation), np.array([target for _, target in validation])),
        test=Moments(chain(prefixes), np.array(targets, dtype=np.int64)),
        known=chain(sessions),
        mask_seen=False,
        left_out={
            "targets_not_in_training": targets.count(0),
            "prefixes_without_known_items": sum(len(prefix) == 0 for prefix in prefixes),
        },
    )


def _prefixes(sessions: list[NDArray[np.int64]]) -> Iterator[tuple[NDArray[np.int64], int]]:
    for rows in sessions:
        for place in range(1, len(rows)):
            yield rows[:place], int(rows[place])


class _Table:
    """Item ids to rows, in the order in which they are met; row 0 is no item's."""

    def __init__(self) -> None:
        self._row: dict[str, int] = {}

    @property
    def size(self) -> int:
        return len(self._row) + 1

    def rows(self, item_ids: list[str]) -> NDArray[np.int64]:
        return np.array([self._row.setdefault(item_id, len(self._row) + 1) for item_id in item_ids], dtype=np.int64)

    def known_rows(self, item_ids: list[str]) -> NDArray[np.int64]:
        return np.array([self._row.get(item_id, 0) for item_id in item_ids], dtype=np.int64)


def _content(path: Path) -> bytes:
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content.startswith(_GZIP) else content
    except (OSError, EOFError) as error:
        raise SequencesError(f"{path}: could not be read: {error}; expected a text file, plain or gzipped") from error


def _lines(path: Path, content: bytes, separator: str | None = None) -> Iterator[tuple[int, list[str]]]:
    """Give the numbers, from 1, and the columns of lines that are not blank."""
    for number, line in enumerate(content.split(b"\n"), start=1):
        try:
            text = line.decode().rstrip("\r")
        except UnicodeDecodeError as error:
            raise SequencesError(f"{path}, line {number}: saw {line[:20]!r}, expected text in UTF-8") from error
        if "\0" in text:
            raise SequencesError(f"{path}, line {number}: saw a zero byte, expected a text file")
        if text.strip():
            yield number, text.split(separator)
