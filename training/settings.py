"""How the recommender is trained: one checked value object, with defaults for two cores."""

from __future__ import annotations

from dataclasses import dataclass

from training.search import Between, OneOf, Ranges


@dataclass(frozen=True)
class Settings:
    """How to train; chosen on validation weeks of Online Retail and of the simulated shop.

    Parameters
    ----------
    budget_s
        Wall-clock time for the loop, seconds; epochs are cut to fit into it.
    epochs
        Passes over the log at most.
    patience
        Epochs without a better validation before it stops.
    validation_share, validation_moments
        Share of the time before the cut, at its end, that validates; how many lists are made in it at most.
    entries
        Entries in a batch, padding included.
    peak_rate, warmup
        Learning rate after `warmup` steps, falling to none along a cosine; from a champion's weights, too: a tenth of
        it learned slower on a small simulated shop, and ended lower.
    last_rate
        Learning rate that the pass over the whole span starts with.
    weight_decay, gradient_norm
        Of AdamW, and where gradients are clipped.
    half_life_days
        Age at which a target counts half: what sells changes.
    together
        Share of targets taken from the rest of the same occasion, where it has a rest: what is bought together
        tells items apart faster than what is bought next.
    drop_learned
        Share of items whose learned part is left out in each step, so that text alone learns to stand for an item.
    width, layers, max_length, dropout
        Of the model.
    threads
        Of torch on the CPU; 0 leaves its own choice. Beside busy neighbours two threads wait for each other: an
        epoch took 181 s with two and 25 s with one.
    """

    budget_s: float = 90.0
    epochs: int = 6
    patience: int = 2
    validation_share: float = 0.12
    validation_moments: int = 2000
    entries: int = 1200
    peak_rate: float = 5e-3
    warmup: int = 100
    last_rate: float = 5e-4
    weight_decay: float = 0.01
    gradient_norm: float = 1.0
    half_life_days: float = 20.0
    together: float = 0.5
    drop_learned: float = 0.15
    width: int = 64
    layers: int = 2
    max_length: int = 50
    dropout: float = 0.2
    seed: int = 0
    threads: int = 1


TUNED: Ranges = {
    "width": OneOf((32, 64, 96)),
    "layers": OneOf((1, 2, 3)),
    "dropout": Between(0.0, 0.5),
    "peak_rate": Between(1e-3, 1e-2, logarithmic=True),
    "weight_decay": Between(1e-4, 0.3, logarithmic=True),
    "half_life_days": Between(5.0, 200.0, logarithmic=True),
    "together": Between(0.0, 1.0),
    "drop_learned": Between(0.0, 0.4),
}
"""What `lastclick tune recommender` tries."""
