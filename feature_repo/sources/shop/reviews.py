"""Mood to text: what a shopper felt about a purchase comes in; an English review that says so goes out.

The mood, in [-1, 1], is the known truth that a sentiment model is measured against. A review is a few sentences from
a grammar: its tone follows the mood, with exceptions as in real reviews (a good product, delivered late).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from feature_repo.sources.shop import phrases
from feature_repo.sources.shop.words import CATEGORIES, ProductType

NEUTRAL_BAND = 0.25
"""Moods within +-0.25 are neutral."""
STAR_NOISE = 0.13
SARCASM_SHARE = 0.03
EXCLAMATION_SHARE = 0.35
"""Share of strong first sentences that end in an exclamation mark."""
SIDE_SHARE = 0.22
"""Share of reviews with a sentence about delivery, service or packaging, whose tone follows the mood only loosely."""
SIDE_NOISE = 0.7


@dataclass(frozen=True)
class Subject:
    """What a review is about."""

    kind: ProductType
    category: str
    brand: str


def label_of(mood: float) -> str:
    """Return the class of a mood: "negative", "neutral" or "positive"."""
    if mood < -NEUTRAL_BAND:
        return "negative"
    return "positive" if mood > NEUTRAL_BAND else "neutral"


def stars_of(rng: np.random.Generator, mood: float) -> int:
    """Return 1 to 5 stars for a mood, with some noise."""
    noisy = mood + STAR_NOISE * rng.normal()
    return 1 + sum(noisy > threshold for threshold in (-0.6, -0.22, 0.22, 0.6))


def write_review(rng: np.random.Generator, mood: float, subject: Subject) -> str:
    """Write a review of `subject` in the given mood, in [-1, 1]."""
    words = _words(rng, subject)
    if mood < -0.5 and rng.random() < SARCASM_SHARE:
        return _finish(rng, [_pick(rng, phrases.SARCASM), _pick(rng, phrases.POINTS["bad"])], words)
    tone = _tone(mood)
    opening = _pick(rng, phrases.OPENINGS[tone])
    if abs(mood) > 0.6 and rng.random() < EXCLAMATION_SHARE:
        opening = opening.rstrip(".") + "!"
    sentences = [opening]
    points = int(rng.choice((0, 1, 2, 3), p=(0.2, 0.42, 0.28, 0.1)))
    if tone == "mixed":
        sentences += [_pick(rng, phrases.MIXED_POINTS) for _ in range(min(points, 1))]
        if rng.random() < 0.6:
            both = [_pick(rng, phrases.POINTS["good"]), _pick(rng, phrases.POINTS["bad"])]
            sentences += both if rng.random() < 0.5 else both[::-1]
    else:
        side = "good" if mood > 0 else "bad"
        pool = [*phrases.POINTS[side], *phrases.TYPE_POINTS.get(subject.category, {}).get(side, ())]
        sentences += [_pick(rng, pool) for _ in range(points)]
        if abs(mood) < 0.6 and rng.random() < 0.5:
            sentences.append(_pick(rng, phrases.CONCESSIONS[side]))
    if rng.random() < SIDE_SHARE:
        side = "good" if mood + SIDE_NOISE * rng.normal() > 0 else "bad"
        sentences.insert(int(rng.integers(1, len(sentences) + 1)), _pick(rng, phrases.SIDES[side]))
    if rng.random() < 0.45:
        sentences.append(_pick(rng, phrases.ENDINGS[tone]))
    if rng.random() < 0.35:
        sentences.insert(int(rng.integers(0, 2)), _pick(rng, phrases.FACTS))
    return _finish(rng, list(dict.fromkeys(sentences)), words)


def labelled_reviews(seed: int, count: int) -> Iterator[tuple[str, float]]:
    """Yield `count` pairs of (text, mood) for products of all types, without simulating a shop.

    Moods are spread evenly enough that each class has about a third of the reviews.
    """
    rng = np.random.default_rng([seed, 3])
    for _ in range(count):
        category = CATEGORIES[rng.integers(len(CATEGORIES))]
        kind = category.types[rng.integers(len(category.types))]
        brand = category.brands[rng.integers(len(category.brands))]
        low, high = ((-1.0, -NEUTRAL_BAND), (-NEUTRAL_BAND, NEUTRAL_BAND), (NEUTRAL_BAND, 1.0))[rng.integers(3)]
        mood = float(rng.uniform(low, high))
        yield write_review(rng, mood, Subject(kind, category.name, brand)), mood


def _tone(mood: float) -> str:
    if abs(mood) <= NEUTRAL_BAND:
        return "mixed"
    if mood > 0:
        return "great" if mood > 0.62 else "good"
    return "awful" if mood < -0.62 else "bad"


def _words(rng: np.random.Generator, subject: Subject) -> dict[str, str]:
    noun = subject.kind.noun.lower().replace("t-shirt", "T-shirt")
    if rng.random() < 0.3 and " " in noun and noun not in phrases.FULL_NAMES_ONLY:
        noun = noun.split()[-1]
    plural = noun.endswith("s") and not noun.endswith(("ss", "press", "canvas"))
    material = _pick(rng, subject.kind.materials).lower()
    return {
        "noun": noun,
        "this": f"these {noun}" if plural else f"this {noun}",
        "the": f"the {noun}",
        "a": noun if plural else f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}",
        "is": "are" if plural else "is",
        "was": "were" if plural else "was",
        "has": "have" if plural else "has",
        "does": "do" if plural else "does",
        "it": "they" if plural else "it",
        "them": "them" if plural else "it",
        "s": "" if plural else "s",
        "material": "material" if material in phrases.NOT_SUBSTANCES else material,
        "brand": subject.brand,
        "person": _pick(rng, phrases.PEOPLE),
        "days": str(int(rng.integers(2, 15))),
    }


def _finish(rng: np.random.Generator, sentences: list[str], words: dict[str, str]) -> str:
    """Fill the blanks, and write as people do: some without capitals or a last full stop."""
    filled = [sentence.format(**words) for sentence in sentences]
    filled = [sentence[0].upper() + sentence[1:] for sentence in filled]
    text = " ".join(filled)
    habit = rng.random()
    if habit < 0.08:
        return text.lower()
    if habit < 0.14:
        return text.rstrip(".")
    return text


def _pick(rng: np.random.Generator, pool: tuple[str, ...] | list[str]) -> str:
    return pool[int(rng.random() * len(pool))]
