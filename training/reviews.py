"""Files of reviews: read, labelled and split.

In: a CSV or TSV file, plain or gzipped, with a column of texts and a column of labels. Out: reviews with a mood,
and the part (train, validation, test) that the text's hash puts each into: the same for every run, machine
and order.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Part = Literal["train", "validation", "test"]

# Places in `scorer.sentiment.LABELS`.
NEGATIVE, NEUTRAL, POSITIVE = range(3)

_MOOD_OF_STARS = {1: NEGATIVE, 2: NEGATIVE, 3: NEUTRAL, 4: POSITIVE, 5: POSITIVE}
_MOOD_WORDS = {"negative": "1", "neg": "1", "neutral": "3", "neu": "3", "positive": "5", "pos": "5"}
"""Words that a file may have for stars, and the stars that mean the same."""

_LABELS = "label is no whole number from 0 to 5, nor a word such as negative"
_COLUMNS_REMEDY = "name its columns with --text-column, --label-column and --title-column"
_DELIMITERS = (",", "\t", ";")
_TENTHS_TEST = 2
_TENTHS_VALIDATION = 1


class ReviewsError(ValueError):
    """A file of reviews that can't be read as one: names it, what was seen and what was expected."""


@dataclass(frozen=True)
class Review:
    """A review to learn from.

    Parameters
    ----------
    text
        What was written, not empty.
    title
        Its headline; empty when there is none.
    mood
        Place in `scorer.sentiment.LABELS`: 1 and 2 stars are negative, 3 neutral, 4 and 5 positive.
    recommended
        Whether its writer recommends the product; None where the file does not say.
    """

    text: str
    title: str
    mood: int
    recommended: bool | None

    @property
    def part(self) -> Part:
        """Where the review belongs: a fifth is for testing, a tenth for validation."""
        return part_of(self.text)


def part_of(text: str) -> Part:
    """Part of a text by its hash, whatever its case and spacing: a copied review stays in one part."""
    tenth = tenth_of(text)
    if tenth < _TENTHS_TEST:
        return "test"
    return "validation" if tenth < _TENTHS_TEST + _TENTHS_VALIDATION else "train"


def tenth_of(text: str) -> int:
    """Place of a text among ten equal parts, 0 to 9, by its hash; whatever its case and spacing."""
    digest = hashlib.sha256(" ".join(text.lower().split()).encode("utf-8", "replace")).digest()
    return int.from_bytes(digest[:8], "big") % 10


def read_rows(path: Path, columns: Sequence[str], remedy: str = "name a file that has it") -> Iterator[dict[str, str]]:
    """Rows of the file at `path`, gzipped or not, whose first line names its columns.

    Parameters
    ----------
    path
        The file; commas, tabs or semicolons separate its columns, whichever makes the most of its first line.
    columns
        Columns that it must have.
    remedy
        What to do where it lacks one of them.

    Raises
    ------
    ReviewsError
        When it can't be read, or lacks one of `columns`.
    """
    content = _content(path)
    rows = csv.DictReader(io.StringIO(content, newline=""), delimiter=_delimiter(content))
    try:
        names = rows.fieldnames or ()
        missing = [column for column in columns if column not in names]
        if missing:
            has = f"it has {', '.join(map(repr, names))}" if names else "it is empty"
            raise ReviewsError(f"reviews of {path}: no column {missing[0]!r}; {has}; {remedy}")
        yield from rows
    except csv.Error as error:
        raise ReviewsError(
            f"reviews of {path}, after line {rows.line_num}: {error}; expected columns of text, quoted where they "
            "hold a separator or a line break"
        ) from error


def _content(path: Path) -> str:
    try:
        content = path.read_bytes()
        if content.startswith(b"\x1f\x8b"):
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise ReviewsError(f"cannot read reviews from {path}: {reason}; name a CSV or TSV file") from error
    return content.decode("utf-8-sig", "replace")  # spreadsheets begin their files with a byte order mark


def _delimiter(content: str) -> str:
    """The separator that makes the most columns of the first line."""
    first = content.partition("\n")[:1]
    return max(_DELIMITERS, key=lambda delimiter: len(next(csv.reader(first, delimiter=delimiter), [])))


def read_clothing_reviews(path: Path) -> list[Review]:
    """Reviews of the CC0 file Women's E-Commerce Clothing Reviews, without those that have no text."""
    columns = ("Review Text", "Title", "Rating", "Recommended IND")
    return [
        Review(
            text=row["Review Text"].strip(),
            title=row["Title"].strip(),
            mood=_MOOD_OF_STARS[int(row["Rating"])],
            recommended=row["Recommended IND"] == "1",
        )
        for row in read_rows(path, columns)
        if row["Review Text"].strip()
    ]


@dataclass(frozen=True)
class LabelledTexts:
    """Texts of any file, with its labels.

    Parameters
    ----------
    texts
        N texts to score, with their titles where wanted.
    keys
        The same texts without titles: what decides their part.
    labels
        int64 [N]: stars (1 to 5), or 0 and 1; of words, 1 for negative, 3 for neutral and 5 for positive.
    skipped
        Rows left out, by reason.
    """

    texts: list[str]
    keys: list[str]
    labels: NDArray[np.int64]
    skipped: dict[str, int]


def read_labelled(path: Path, text_column: str, label_column: str, title_column: str | None = None) -> LabelledTexts:
    """Texts and labels of the CSV or TSV file at `path`; rows that lack either are skipped and counted.

    Raises
    ------
    ReviewsError
        When the file can't be read, lacks a column, or has no usable row; or labels that are neither stars, words for
        moods, nor both of 0 and 1.
    """
    texts: list[str] = []
    keys: list[str] = []
    labels: list[int] = []
    skipped = {"no text": 0, _LABELS: 0}
    titled = (title_column,) if title_column else ()
    for row in read_rows(path, (text_column, label_column, *titled), _COLUMNS_REMEDY):
        text, label = (row[text_column] or "").strip(), (row[label_column] or "").strip().removesuffix(".0").lower()
        label = _MOOD_WORDS.get(label, label)
        title = (row[title_column] or "").strip() if title_column else ""
        if not text:
            skipped["no text"] += 1
        elif label not in ("0", "1", "2", "3", "4", "5"):
            skipped[_LABELS] += 1
        else:
            texts.append(f"{title}. {text}" if title else text)
            keys.append(text)
            labels.append(int(label))
    if not texts:
        reasons = ", ".join(f"{count} rows: {reason}" for reason, count in skipped.items() if count) or "no rows"
        raise ReviewsError(
            f"reviews of {path}: no usable row ({reasons}), expected texts in column {text_column!r} and stars from 1 "
            f"to 5, 0 and 1, or negative, neutral and positive in column {label_column!r}"
        )
    found = np.array(labels, dtype=np.int64)
    if (found.max() > 1 and found.min() < 1) or found.min() == found.max() < 2:
        raise ReviewsError(
            f"reviews of {path}: column {label_column!r} has labels from {found.min()} to {found.max()}, "
            "expected stars from 1 to 5, both of 0 and 1, or negative, neutral and positive"
        )
    return LabelledTexts(texts, keys, found, skipped)


def mood_of_stars(stars: int) -> int:
    """Place in `scorer.sentiment.LABELS` of a number of stars, 1 to 5."""
    return _MOOD_OF_STARS[stars]
