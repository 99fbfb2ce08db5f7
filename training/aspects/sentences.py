"""Sentences labelled with what they are about: a folder of ACOS files in, sentences of three parts out.

A line is a sentence, a tab, and quadruples separated by tabs: place of the aspect, category, sentiment (0 negative,
1 neutral, 2 positive), place of the opinion. The file whose name says train is learned from, all but a fifth of it,
which validates and is chosen by the text's hash; the file whose name says dev (or test, where there is one) tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from scorer.aspects import ASPECTS
from training.reviews import tenth_of

ABSENT, NEGATIVE, NEUTRAL, POSITIVE = range(4)
"""Places in `scorer.aspects.STATES`."""

_TENTHS_VALIDATION = 2
_TEST_NAMES = ("test", "dev")
_SENTIMENTS = {"0": 0, "1": 1, "2": 2}
_FIELDS = 4

# The first word of a category. Who sells and stands behind the product is service; all other words name a part or a
# property of the product, but for the two that follow.
_SERVICE = {"COMPANY", "SUPPORT", "SERVICE", "WARRANTY"}
_DELIVERY = {"SHIPPING", "DELIVERY"}
_NOTHING = {"OUT_OF_SCOPE"}


class SentencesError(ValueError):
    """Labelled sentences that can't be read as such: names the file and line, what was seen and what was expected."""


@dataclass(frozen=True)
class Sentence:
    """One labelled sentence.

    Parameters
    ----------
    text
        What was written, not empty.
    opinions
        int64 [3, 3]: how many opinions about each of `scorer.aspects.ASPECTS` are negative, neutral and positive.
    """

    text: str
    opinions: NDArray[np.int64]


@dataclass(frozen=True)
class Sentences:
    """The three parts of a folder: to learn from, to decide with, and to report on."""

    train: list[Sentence]
    validation: list[Sentence]
    test: list[Sentence]


def states_of(opinions: NDArray[np.int64]) -> NDArray[np.int64]:
    """State of each aspect: int64 [3], places in `scorer.aspects.STATES`, from opinions int64 [3, 3].

    An aspect is negative or positive where most of what is said of it is; neutral where neither, as much as both, or
    mostly neutral things are said.
    """
    negative, neutral, positive = opinions.T
    states = np.where(opinions.sum(axis=1) > 0, NEUTRAL, ABSENT)
    states[(negative > positive) & (negative >= neutral)] = NEGATIVE
    states[(positive > negative) & (positive >= neutral)] = POSITIVE
    return states.astype(np.int64)


def truth_of(sentences: Sequence[Sentence]) -> NDArray[np.int64]:
    """States of the aspects of N sentences, int64 [N, 3]."""
    return np.stack([states_of(sentence.opinions) for sentence in sentences])


def read_sentences(folder: Path) -> Sentences:
    """Read the ACOS files in `folder` and split them.

    Raises
    ------
    SentencesError
        When a file is missing, is there twice or can't be read, or a line breaks the form.
    """
    labelled = read_file(_only(folder, ("train",)))
    held_out = [tenth_of(sentence.text) < _TENTHS_VALIDATION for sentence in labelled]
    test = read_file(_only(folder, _TEST_NAMES))
    seen = {_key(sentence.text) for sentence in test}
    return Sentences(
        # A sentence that stands in the test file, too, is not learned from.
        train=[s for s, out in zip(labelled, held_out, strict=True) if not out and _key(s.text) not in seen],
        validation=[s for s, out in zip(labelled, held_out, strict=True) if out and _key(s.text) not in seen],
        test=test,
    )


def read_file(path: Path) -> list[Sentence]:
    """Sentences of one file, in its order; `SentencesError` when it can't be read or a line breaks the form."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SentencesError(f"cannot read labelled sentences from {path}: {error}") from error
    sentences = [_sentence(path, number, line) for number, line in enumerate(lines, 1) if line.strip()]
    if not sentences:
        raise SentencesError(f"labelled sentences of {path}: no line, expected a sentence and its labels on each")
    return sentences


def _sentence(path: Path, number: int, line: str) -> Sentence:
    text, *labels = line.split("\t")
    if not text.strip() or not labels:
        raise SentencesError(
            f"labelled sentences of {path}, line {number}: saw {line[:60]!r}, expected a sentence, a tab and at least "
            "one label such as '1,2 SHIPPING#GENERAL 2 4,5'"
        )
    opinions = np.zeros((len(ASPECTS), len(_SENTIMENTS)), dtype=np.int64)
    for label in labels:
        fields = label.split()
        if len(fields) != _FIELDS or fields[2] not in _SENTIMENTS:
            raise SentencesError(
                f"labelled sentences of {path}, line {number}: saw the label {label!r}, expected four fields, the "
                "third 0, 1 or 2, such as '1,2 SHIPPING#GENERAL 2 4,5'"
            )
        aspect = aspect_of(fields[1])
        if aspect is not None:
            opinions[ASPECTS.index(aspect), _SENTIMENTS[fields[2]]] += 1
    return Sentence(text.strip(), opinions)


def aspect_of(category: str) -> str | None:
    """Which of `scorer.aspects.ASPECTS` a category such as ``SHIPPING#GENERAL`` belongs to; None for none."""
    entity = category.partition("#")[0].upper()
    if entity in _NOTHING:
        return None
    if entity in _SERVICE:
        return "service"
    return "delivery" if entity in _DELIVERY else "product"


def _only(folder: Path, names: Sequence[str]) -> Path:
    """Return the one ``.tsv`` file of `folder` whose name has the first of `names` that any has."""
    if not folder.is_dir():
        raise SentencesError(f"labelled sentences: {folder} is no folder; name the one with the files of ACOS")
    files = sorted(folder.glob("*.tsv"))
    for name in names:
        found = [file for file in files if name in file.stem.lower()]
        if len(found) == 1:
            return found[0]
        if found:
            raise SentencesError(
                f"labelled sentences of {folder}: saw {', '.join(file.name for file in found)}, expected one .tsv file "
                f"with {name!r} in its name; move the others away"
            )
    raise SentencesError(
        f"labelled sentences of {folder}: saw {', '.join(file.name for file in files) or 'no .tsv file'}, expected one "
        f"with {' or '.join(map(repr, names))} in its name"
    )


def _key(text: str) -> str:
    return " ".join(text.lower().split())
