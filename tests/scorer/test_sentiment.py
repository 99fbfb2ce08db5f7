"""Review texts to moods: what a caller may rely on, known sentences, and the floor on held-out reviews."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from scorer.bundle import BundleError
from scorer.sentiment import LABELS, Sentiment
from scorer.sessions import DeviceError, gpu_count

HAPPY = "Absolutely love it, the fabric is soft and it fits perfectly."
ANGRY = "Terrible quality. It fell apart after one wash and I want my money back."

# TF-IDF with logistic regression, AUC for recommended or not, as the shared data's README has it.
FLOOR = 0.948


@pytest.fixture(scope="module")
def sentiment(sentiment_bundle: Path) -> Sentiment:
    return Sentiment.load(sentiment_bundle, "cpu")


def test_probabilities_sum_to_one_and_make_the_score(sentiment: Sentiment) -> None:
    scores = sentiment.score([HAPPY, ANGRY, "It is okay."])
    assert scores.probabilities.shape == (3, 3)
    assert scores.probabilities.dtype == np.float32
    np.testing.assert_allclose(scores.probabilities.sum(axis=1), 1.0, atol=1e-5)
    np.testing.assert_allclose(scores.score, scores.probabilities[:, 2] - scores.probabilities[:, 0], atol=1e-6)
    assert scores.labels == tuple(LABELS[place] for place in scores.probabilities.argmax(axis=1))


@pytest.mark.parametrize(
    "text",
    [
        HAPPY,
        "Great value, arrived early.",
        "Not bad at all!",
        "not bad",
        "I was worried about the size, but it fits like a glove.",
        "Five stars. My daughter wears it every day.",
    ],
)
def test_known_praise_scores_above_zero(sentiment: Sentiment, text: str) -> None:
    assert sentiment.score([text]).score[0] > 0


@pytest.mark.parametrize(
    "text",
    [
        ANGRY,
        "I returned it.",
        "Very disappointed, it looks nothing like the picture.",
        "I really wanted to love this, but it is cheap and itchy. Going back.",
        "Do not buy this. Waste of money.",
    ],
)
def test_known_complaints_score_below_zero(sentiment: Sentiment, text: str) -> None:
    assert sentiment.score([text]).score[0] < 0


def test_negation_lowers_the_score(sentiment: Sentiment) -> None:
    good, bad = sentiment.score(["I am happy with it.", "I am not happy with it."]).score
    assert good > bad


def test_order_is_kept_and_neighbours_change_nothing(sentiment: Sentiment) -> None:
    texts = [HAPPY, "ok", ANGRY, HAPPY * 20, ""]
    together = sentiment.score(texts)
    for place, text in enumerate(texts):
        np.testing.assert_array_equal(sentiment.score([text]).probabilities[0], together.probabilities[place])


@pytest.mark.parametrize(
    "text",
    ["", "   ", "\x00", "👗❤️", "裙子很漂亮", "\udfff", "a" * 3_000_000, "so good " * 100_000],
    ids=["empty", "blank", "control", "emoji", "Chinese", "lone surrogate", "one huge word", "long"],
)
def test_any_text_gets_a_score_in_range(sentiment: Sentiment, text: str) -> None:
    score = sentiment.score([text]).score[0]
    assert np.isfinite(score)
    assert -1 <= score <= 1


def test_no_texts_give_no_scores(sentiment: Sentiment) -> None:
    scores = sentiment.score([])
    assert scores.score.shape == (0,)
    assert scores.labels == ()


def test_bundle_of_another_kind_is_refused(text_encoder_bundle: Path) -> None:
    with pytest.raises(BundleError, match="kind"):
        Sentiment.load(text_encoder_bundle, "cpu")


def test_demanded_gpu_that_is_absent_is_an_error(sentiment_bundle: Path) -> None:
    if gpu_count():
        pytest.skip("this machine has a GPU")
    with pytest.raises(DeviceError, match="cuda"):
        Sentiment.load(sentiment_bundle, "cuda")


def test_simulated_reviews_are_read_as_they_were_meant(sentiment: Sentiment) -> None:
    """Needs no data set: the model never saw these reviews, nor any but those of clothes."""
    from training.sentiment import evaluate_simulated

    figures = evaluate_simulated(sentiment, count=200).model
    assert figures["auc_positive_negative"] > 0.93
    assert figures["mood_correlation"] > 0.65


@pytest.mark.data
def test_held_out_reviews_are_ranked_better_than_the_floor(sentiment: Sentiment, shared_data: Path) -> None:
    from sklearn.metrics import roc_auc_score

    from training.reviews import read_clothing_reviews

    reviews = read_clothing_reviews(shared_data / "womens_clothing" / "reviews.csv.gz")
    sample = [review for review in reviews if review.part == "test"][:1000]
    score = sentiment.score([review.text for review in sample]).score
    assert roc_auc_score([review.recommended for review in sample], score) >= FLOOR
