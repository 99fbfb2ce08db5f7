"""Rules that the aspects model must beat: TF-IDF with logistic regression, and "always the product".

In: the sentences. Out: the states of the aspects of the test part, int64 [N, 3].
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from scorer.aspects import ASPECTS, STATES, states
from training.aspects.figures import aspect_figures
from training.aspects.sentences import Sentence, Sentences, truth_of

# Weights of the classes and strength of the fit; validation chooses.
_CHOICES = [(weight, strength) for weight in (None, "balanced") for strength in (1.0, 4.0, 16.0)]


def tfidf_floor(sentences: Sentences) -> NDArray[np.int64]:
    """Fit words and pairs of words on the train part, in the variant that validates best; predict the test part."""
    wanted = truth_of(sentences.validation)

    def validated(choice: tuple[str | None, float]) -> float:
        predicted = _predict(sentences.train, sentences.validation, *choice)
        return aspect_figures(predicted, wanted)["aspect_sentiment_f1"]

    return _predict(sentences.train, sentences.test, *max(_CHOICES, key=validated))


def constant_floor(sentences: Sentences) -> NDArray[np.int64]:
    """Say of every test sentence what is commonest in the train part: of each aspect its commonest state."""
    truth = truth_of(sentences.train)
    commonest = [np.bincount(truth[:, place], minlength=len(STATES)).argmax() for place in range(len(ASPECTS))]
    return np.tile(np.array(commonest, dtype=np.int64), (len(sentences.test), 1))


def _predict(
    learned: Sequence[Sentence], asked: Sequence[Sentence], weight: str | None, strength: float
) -> NDArray[np.int64]:
    truth = truth_of(learned)
    probabilities = np.zeros((len(asked), len(ASPECTS), len(STATES)), dtype=np.float32)
    for place in range(len(ASPECTS)):
        pipeline = make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True, token_pattern=r"[^\s]+"),
            LogisticRegression(C=strength, class_weight=weight, max_iter=1000),
        )
        pipeline.fit([sentence.text for sentence in learned], truth[:, place])
        predicted = pipeline.predict_proba([sentence.text for sentence in asked])
        probabilities[:, place, pipeline.classes_] = predicted
    return states(probabilities)
