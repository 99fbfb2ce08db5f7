"""A sentiment model on a file of labelled texts: how good it is, beside a floor.

In: a CSV file with texts and stars, or texts and recommended or not; or nothing, and the simulated shop's
reviews are scored, whose true mood is known. Out: figures of the served int8 graph, and on the held-out
part those of TF-IDF with logistic regression trained on the other texts of the same file.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from feature_repo.sources.shop.reviews import label_of, labelled_reviews
from scorer.sentiment import LABELS, Sentiment
from training.reviews import NEGATIVE, POSITIVE, LabelledTexts, ReviewsError, mood_of_stars, part_of, read_labelled
from training.sentiment_metrics import mood_metrics

_TEXTS_A_PART = 1000


class SentimentReport(msgspec.Struct, frozen=True):
    """What an evaluation found.

    Parameters
    ----------
    source
        The file read, or ``simulated shop``.
    part
        ``test``, the texts whose hash keeps them out of training, or ``all``.
    texts
        Texts scored.
    skipped
        Rows left out, by reason.
    version
        Version of the bundle.
    milliseconds_per_text
        Mean time of one text, tokenisation included.
    model
        Figures of the model, see `training.sentiment_metrics.mood_metrics`.
    floor
        The same figures of TF-IDF with logistic regression trained on the file's other texts, for part ``test``.
    """

    source: str
    part: str
    texts: int
    skipped: dict[str, int]
    version: str
    milliseconds_per_text: float
    model: dict[str, float]
    floor: dict[str, float] | None


def evaluate(
    file: Path,
    text_column: str,
    label_column: str,
    model: Sentiment,
    *,
    title_column: str | None = None,
    held_out: bool = False,
    progress: Callable[[str], None] = print,
) -> SentimentReport:
    """Score the texts of `file` and hold the scores against its labels.

    Parameters
    ----------
    file
        CSV or TSV, plain or gzipped.
    text_column, label_column
        Names of its columns; labels are stars (1 to 5), 0 and 1, or words for moods.
    model
        The loaded bundle.
    title_column
        Column whose text is put before the text.
    held_out
        Whether to score only the texts that training never sees, and compute the floor.
    progress
        Told how many texts are scored, as they are.

    Raises
    ------
    ReviewsError
        When the file, a column or every row can't be used.
    """
    rows = read_labelled(file, text_column, label_column, title_column)
    test = np.array([part_of(text) == "test" for text in rows.keys])
    scored = test if held_out else np.ones(len(rows.texts), dtype=np.bool_)
    texts = [rows.texts[place] for place in np.flatnonzero(scored)]
    if not texts:
        raise ReviewsError(f"reviews of {file}: none of {len(rows.texts)} texts is held out; leave --held-out away")
    probabilities, elapsed_ms = _timed(model, texts, progress)
    return SentimentReport(
        source=str(file),
        part="test" if held_out else "all",
        texts=len(texts),
        skipped=rows.skipped,
        version=model.version,
        milliseconds_per_text=elapsed_ms,
        model=_figures(probabilities, rows.labels[scored]),
        floor=_floor(rows, test) if held_out else None,
    )


def evaluate_simulated(model: Sentiment, count: int = 1000, seed: int = 1) -> SentimentReport:
    """Score reviews of the simulated shop, which no data set is needed for.

    The figures gain ``mood_correlation``: Spearman's, of the score and the true mood in [-1, 1].
    """
    pairs = list(labelled_reviews(seed, count))
    texts = [text for text, _ in pairs]
    truth = np.array([mood for _, mood in pairs])
    probabilities, elapsed_ms = _timed(model, texts, lambda message: None)
    figures = mood_metrics(probabilities, np.array([LABELS.index(label_of(mood)) for mood in truth]))
    score = probabilities[:, POSITIVE] - probabilities[:, NEGATIVE]
    figures["mood_correlation"] = float(np.corrcoef(_ranks(score), _ranks(truth))[0, 1])
    return SentimentReport(
        source="simulated shop",
        part="all",
        texts=len(texts),
        skipped={},
        version=model.version,
        milliseconds_per_text=elapsed_ms,
        model=figures,
        floor=None,
    )


def _timed(
    model: Sentiment, texts: Sequence[str], progress: Callable[[str], None]
) -> tuple[NDArray[np.float32], float]:
    started = time.perf_counter()
    parts = []
    for start in range(0, len(texts), _TEXTS_A_PART):
        parts.append(model.score(texts[start : start + _TEXTS_A_PART]).probabilities)
        scored, elapsed_s = start + len(parts[-1]), time.perf_counter() - started
        left_s = elapsed_s * (len(texts) - scored) / scored
        progress(f"{scored:,} of {len(texts):,} texts scored, {left_s:.0f} s left")
    return np.concatenate(parts), round(1000 * (time.perf_counter() - started) / len(texts), 2)


def _ranks(values: NDArray[Any]) -> NDArray[np.int64]:
    return values.argsort(kind="stable").argsort(kind="stable").astype(np.int64)


def _figures(probabilities: NDArray[np.float32], labels: NDArray[np.int64]) -> dict[str, float]:
    if labels.max() <= 1:
        return mood_metrics(probabilities, None, labels == 1)
    return mood_metrics(probabilities, _moods(labels))


def _moods(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.array([mood_of_stars(int(stars)) for stars in labels], dtype=np.int64)


def _floor(rows: LabelledTexts, test: NDArray[np.bool_]) -> dict[str, float]:
    binary = rows.labels.max() <= 1
    # Recommended or not takes the places of positive and negative.
    targets = rows.labels * 2 if binary else _moods(rows.labels)
    pipeline = make_pipeline(
        TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True),
        LogisticRegression(C=4.0, max_iter=1000),
    )
    pipeline.fit([rows.texts[place] for place in np.flatnonzero(~test)], targets[~test])
    probabilities = np.zeros((int(test.sum()), 3), dtype=np.float32)
    predicted = pipeline.predict_proba([rows.texts[place] for place in np.flatnonzero(test)])
    probabilities[:, pipeline.classes_] = predicted
    return _figures(probabilities, rows.labels[test])
