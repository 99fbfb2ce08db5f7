"""Seed to shoppers: hidden tastes, means and habits of everyone who will come, and how tastes drift."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from feature_repo.sources.shop.catalogue import DAY_MS, LAUNCH_DAYS, STYLE_DIMENSIONS, Catalogue, Floats, Ints
from feature_repo.sources.shop.words import CATEGORIES

FIRST_SHARE = 0.7
"""Share of the shoppers who come from the first day on; the others arrive evenly over `LAUNCH_DAYS` days."""
SESSIONS_PER_DAY = 0.66
"""Mean over shoppers of unprompted sessions a day; chosen for 7,000 events a day from 1,500 shoppers."""
ACTIVITY_SPREAD = 0.65
"""Standard deviation of the logarithm of a shopper's activity."""
CATEGORY_SPREAD = 1.9
STYLE_STRENGTH = 3.6
BRAND_STRENGTH = 1.0
CATEGORY_DRIFT = 0.16
"""Standard deviation of a day's step of the category taste, in logits."""
STYLE_DRIFT = 0.10
"""Standard deviation of a day's step of each style coordinate, times sqrt(STYLE_DIMENSIONS)."""


@dataclass(frozen=True)
class Shoppers:
    """Everyone, S shoppers; the arrays of tastes change as days pass."""

    arrives_ms: Ints
    """[S] first moment at which the shopper may come, milliseconds since the epoch."""
    activity: Floats
    """[S] unprompted sessions a day."""
    category_taste: Floats
    """[S, categories] logits of the category an unprompted session is about."""
    style: Floats
    """[S, STYLE_DIMENSIONS] utility of a step in each direction of style."""
    brand_taste: Floats
    """[S, brands] utility of a brand."""
    price_sensitivity: Floats
    """[S] loss of utility for each unit of relative log price; below 0 for a few who look for the best."""
    conformity: Floats
    """[S] weight of popularity in a choice."""
    decisiveness: Floats
    """[S] standard normal; adds to the inclination to buy."""
    wandering: Floats
    """[S] share of clicks that follow no intent."""
    writes_reviews: Floats
    """[S] probability of reviewing a purchase."""


def make_shoppers(seed: int, shoppers: int, start_ms: int, catalogue: Catalogue) -> Shoppers:
    """Invent `shoppers` shoppers; the same arguments give the same shoppers."""
    rng = np.random.default_rng([seed, 2])
    first = round(FIRST_SHARE * shoppers)
    arrives_ms = np.full(shoppers, start_ms, dtype=np.int64)
    arrives_ms[first:] += np.sort(rng.integers(0, LAUNCH_DAYS * DAY_MS, size=shoppers - first))
    activity = np.exp(ACTIVITY_SPREAD * rng.normal(size=shoppers) - ACTIVITY_SPREAD**2 / 2) * SESSIONS_PER_DAY
    centre = 0.5 * rng.normal(size=len(CATEGORIES))
    return Shoppers(
        arrives_ms=arrives_ms,
        activity=np.minimum(activity, 5.0),
        category_taste=centre + CATEGORY_SPREAD * rng.normal(size=(shoppers, len(CATEGORIES))),
        style=STYLE_STRENGTH * rng.normal(size=(shoppers, STYLE_DIMENSIONS)) / np.sqrt(STYLE_DIMENSIONS),
        brand_taste=BRAND_STRENGTH * rng.normal(size=(shoppers, catalogue.brands)),
        price_sensitivity=0.7 + 0.9 * rng.normal(size=shoppers),
        conformity=rng.uniform(0.3, 1.2, size=shoppers),
        decisiveness=rng.normal(size=shoppers),
        wandering=rng.beta(6, 20, size=shoppers),
        writes_reviews=rng.beta(2.0, 2.2, size=shoppers),
    )


def drift(shoppers: Shoppers, rng: np.random.Generator) -> None:
    """Let every shopper's taste move by one day, in place; each stays around its starting spread."""
    keep = 1 - CATEGORY_DRIFT**2 / (2 * CATEGORY_SPREAD**2)
    shoppers.category_taste[:] = keep * shoppers.category_taste + CATEGORY_DRIFT * rng.normal(
        size=shoppers.category_taste.shape
    )
    step = STYLE_DRIFT * rng.normal(size=shoppers.style.shape) / np.sqrt(STYLE_DIMENSIONS)
    keep = 1 - STYLE_DRIFT**2 / (2 * STYLE_STRENGTH**2)
    shoppers.style[:] = keep * shoppers.style + step


def price_fit(sensitivity: float, relative_price: Floats) -> Floats:
    """Utility of relative log prices for one shopper; dear products lose less and less beyond their budget."""
    fit: Floats = -sensitivity * relative_price - 0.25 * np.square(relative_price)
    return fit
