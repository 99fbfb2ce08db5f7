"""How the sequence model is built, trained and mixed: one checked value object, the same for every file."""

from __future__ import annotations

from dataclasses import dataclass, fields

from training.search import Between, OneOf, Ranges

VERSION = "next-item-3"
"""Of the defaults below: it changes whenever one of them does, and every report names it."""


class SettingsError(ValueError):
    """A setting out of its range: names it, the value seen and the values expected."""


@dataclass(frozen=True)
class NextItemSettings:
    """Those of the neighbours are chosen on validation items of Amazon Beauty and Toys, the peak rate on Beauty's.

    Parameters
    ----------
    width, layers, heads, max_length, dropout
        Of the transformer; its items have vectors of `width`, and are read and predicted with the same vectors.
    mixed
        Newest entries that each block mixes by a causal convolution beside its attention; 0 for none.
    drop_items
        Share of a history's entries that training hides.
    turned
        Share of the sequences of a pass that are read from their end: what comes together often comes in any order.
    temperature
        Logits are cosines divided by it; 0 takes plain products, with a bias an item.
    smoothing
        Share of a label that is spread over all items.
    contrast, contrast_temperature
        Weight of a loss that tells apart the newest places of a batch from two passes with their own dropout
        (DuoRec, WSDM 2022), and the temperature of its cosines; weight 0 for none.
    negatives
        Items drawn for each step that share the softmax with the step's own targets, with a correction for those
        left out; a catalogue of no more items than this takes part whole.
    members
        Models, each from a seed of its own, whose scores are averaged.
    epochs, patience
        Passes over the sequences at most, and passes without a better validation before it stops.
    entries, least_batches
        Entries in a batch, padding included; sequences of like length come together. Fewer where a pass would else
        have fewer batches than this: a small file needs steps too.
    peak_rate, last_rate, warmup
        Learning rate: rising to the peak over this share of the passes, then falling along a cosine to the last.
    weight_decay, gradient_norm
        Of AdamW, and where gradients are clipped.
    averaging
        Decay a step of the mean of weights that is validated and kept; 0 takes the last weights.
    refit
        Whether the model that is tested is trained again with validation items, for as many passes.
    validation_moments
        Moments drawn to validate on at most.
    neighbours
        Neighbours kept of each item, beside the transformer; 0 for none.
    reach, distance_decay, backward
        Pairs of a sequence at most so many places apart count, less by the decay for each place, and pairs in the
        other order this much.
    from_power, to_power, damping
        Counts of pairs are divided by these powers of the damped counts of the item that is read and of the item
        that is predicted.
    age_decay
        An entry of a history counts less by this for each newer one.
    least_count
        Neighbours' score, in the units of the divided counts, that adds log(2) times the weight to a logit.
    weights
        Weights of the neighbours that validation chooses from.
    precision
        ``float32``, ``bfloat16``, or ``auto``: bfloat16 on a GPU and on a CPU that has instructions for it, float32
        elsewhere.
    """

    width: int = 64
    layers: int = 2
    heads: int = 2
    max_length: int = 50
    dropout: float = 0.5
    mixed: int = 0
    drop_items: float = 0.0
    turned: float = 0.0
    temperature: float = 0.0
    smoothing: float = 0.0
    contrast: float = 0.0
    contrast_temperature: float = 0.2
    negatives: int = 16_384
    members: int = 1
    epochs: int = 14
    patience: int = 3
    entries: int = 1600
    least_batches: int = 50
    peak_rate: float = 3e-3
    last_rate: float = 1e-4
    warmup: float = 0.05
    weight_decay: float = 0.01
    gradient_norm: float = 1.0
    averaging: float = 0.99
    refit: bool = True
    validation_moments: int = 25_000
    neighbours: int = 200
    reach: int = 20
    distance_decay: float = 0.9
    backward: float = 0.4
    from_power: float = 0.5
    to_power: float = 0.15
    damping: float = 10.0
    age_decay: float = 0.65
    least_count: float = 0.01
    weights: tuple[float, ...] = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 8.0, 12.0)
    precision: str = "auto"

    def __post_init__(self) -> None:
        for name, least, most in _RANGES:
            value = getattr(self, name)
            if not least <= value <= most:
                raise SettingsError(f"{name}: saw {value}, expected {least} to {most:g}")
        if self.width % self.heads:
            raise SettingsError(f"heads: saw {self.heads} for a width of {self.width}, expected a divisor of the width")
        if self.precision not in PRECISIONS:
            raise SettingsError(f"precision: saw {self.precision!r}, expected one of {', '.join(PRECISIONS)}")
        if not self.weights or min(self.weights) < 0:
            raise SettingsError(f"weights: saw {self.weights}, expected at least one, none below 0")


TUNED: Ranges = {
    "width": OneOf((32, 64, 96, 128)),
    "layers": OneOf((1, 2, 3)),
    "heads": OneOf((1, 2, 4)),
    "dropout": Between(0.1, 0.7),
    "mixed": OneOf((0, 3, 5)),
    "drop_items": Between(0.0, 0.3),
    "turned": Between(0.0, 0.5),
    "temperature": OneOf((0.0, 0.05, 0.1)),
    "smoothing": Between(0.0, 0.2),
    "contrast": OneOf((0.0, 0.05, 0.1)),
    "entries": OneOf((800, 1600, 3200)),
    "peak_rate": Between(5e-4, 1e-2, logarithmic=True),
    "weight_decay": Between(1e-4, 0.3, logarithmic=True),
    "averaging": OneOf((0.0, 0.99, 0.995)),
    "distance_decay": Between(0.7, 1.0),
    "backward": Between(0.0, 1.0),
    "from_power": Between(0.0, 1.0),
    "to_power": Between(0.0, 0.6),
    "age_decay": Between(0.4, 1.0),
}
"""What `lastclick tune sequences` tries; every width can be divided by every number of heads."""

PRECISIONS = ("auto", "float32", "bfloat16")
_SHARE = ("dropout", "drop_items", "turned", "smoothing", "averaging", "warmup")
_COUNT = (
    "width",
    "layers",
    "heads",
    "max_length",
    "members",
    "epochs",
    "patience",
    "entries",
    "least_batches",
    "reach",
)
_FROM_NOTHING = tuple(
    field.name
    for field in fields(NextItemSettings)
    if field.type in ("int", "float") and field.name not in (*_SHARE, *_COUNT)
)
_RANGES = (
    *((name, 0.0, 0.9999) for name in _SHARE),
    *((name, 1, 1e9) for name in _COUNT),
    *((name, 0, 1e9) for name in _FROM_NOTHING),
)
