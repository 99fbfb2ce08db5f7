"""Files of reviews: read, labelled and split.

In: a CSV file, plain or gzipped, with a column of texts and a column of labels. Out: reviews with a mood,
and the part (train, validation, test) that the text's hash puts each into: the same for every run, machine
and order.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
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


def read_rows(path: Path, columns: Sequence[str]) -> Iterator[dict[str, str]]:
    """Rows of the CSV file at `path`, gzipped or not; `ReviewsError` when it lacks one of `columns`."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ReviewsError(f"cannot read reviews from {path}: {error.strerror}; name a CSV file") from error
    if content.startswith(b"\x1f\x8b"):
        content = gzip.decompress(content)
    rows = csv.DictReader(io.StringIO(content.decode("utf-8", "replace"), newline=""))
    missing = [column for column in columns if column not in (rows.fieldnames or ())]
    if missing:
        raise ReviewsError(
            f"reviews of {path}: no column {missing[0]!r}; it has {', '.join(map(repr, rows.fieldnames or ()))}"
        )
    yield from rows


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
        int64 [N]: stars (1 to 5), or 0 and 1.
    skipped
        Rows left out, by reason.
    """

    texts: list[str]
    keys: list[str]
    labels: NDArray[np.int64]
    skipped: dict[str, int]


def read_labelled(path: Path, text_column: str, label_column: str, title_column: str | None = None) -> LabelledTexts:
    """Texts and labels of the CSV file at `path`; rows that lack either are skipped and counted.

    Raises
    ------
    ReviewsError
        When the file can't be read, lacks a column, or has no usable row.
    """
    texts: list[str] = []
    keys: list[str] = []
    labels: list[int] = []
    skipped = {"no text": 0, "label is not a whole number from 0 to 5": 0}
    titled = (title_column,) if title_column else ()
    for row in read_rows(path, (text_column, label_column, *titled)):
        text, label = (row[text_column] or "").strip(), (row[label_column] or "").strip().removesuffix(".0")
        title = (row[title_column] or "").strip() if title_column else ""
        if not text:
            skipped["no text"] += 1
        elif label not in ("0", "1", "2", "3", "4", "5"):
            skipped["label is not a whole number from 0 to 5"] += 1
        else:
            texts.append(f"{title}. {text}" if title else text)
            keys.append(text)
            labels.append(int(label))
    if not texts:
        raise ReviewsError(f"reviews of {path}: no usable row; skipped {skipped}")
    found = np.array(labels, dtype=np.int64)
    if found.max() > 1 and found.min() < 1:
        raise ReviewsError(
            f"reviews of {path}: column {label_column!r} has labels from {found.min()} to {found.max()}, "
            "expected stars from 1 to 5, or 0 and 1"
        )
    return LabelledTexts(texts, keys, found, skipped)


def mood_of_stars(stars: int) -> int:
    """Place in `scorer.sentiment.LABELS` of a number of stars, 1 to 5."""
    return _MOOD_OF_STARS[stars]
