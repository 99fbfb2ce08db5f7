"""What a training reports after each pass: a line for people, TensorBoard, Weights & Biases, curves for a page.

In: a `Pass` at a time, from every training alike. Out: its figures wherever they are wanted. What is written to is
opened by `recording`; the trainings themselves know of a function that takes a pass, and no more.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Progress = Callable[[str], None]
"""Is told lines for people."""

WANDB_KEY = "WANDB_API_KEY"
LOSS = "loss"
VALIDATION = "validation_"
"""What the names of figures on the validation part start with."""


@dataclass(frozen=True)
class Pass:
    """What one pass of a training gave.

    Parameters
    ----------
    part
        What was trained: ``recommender``, ``propensity``, ``sentiment``, or a member of the sequence model.
    number
        Of the pass, from 1; 0 for what was there before the first.
    figures
        By name: ``loss``, and others; those on the validation part start with ``validation_``.
    """

    part: str
    number: int
    figures: dict[str, float]


Record = Callable[[Pass], None]
"""Takes a pass; may raise, to end the training."""


def unrecorded(made: Pass) -> None:
    """Take a pass, and write it nowhere."""


def pass_line(made: Pass, of: int, spent_s: float, left: int | None = None) -> str:
    """Say a pass in a line, with the time left.

    Parameters
    ----------
    made
        The pass.
    of
        How many there will be at most.
    spent_s
        Wall-clock time of this pass and those before it, seconds.
    left
        Passes still to come; those up to `of` unless another number is given.
    """
    figures = "  ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in made.figures.items())
    left_s = spent_s / max(made.number, 1) * (of - made.number if left is None else left)
    return f"pass {made.number}/{of}  {figures}  {spent_s:.0f} s, at most {left_s:.0f} s left"


@dataclass(frozen=True)
class Curves:
    """All passes that were recorded, in order."""

    passes: list[Pass] = field(default_factory=list)

    def __call__(self, made: Pass) -> None:
        """Take a pass."""
        self.passes.append(made)

    @property
    def parts(self) -> list[str]:
        """What was trained, in the order of its first pass."""
        return list(dict.fromkeys(made.part for made in self.passes))

    def of(self, part: str) -> dict[str, list[tuple[int, float]]]:
        """Give the figures of a part by name, as pairs of a pass's number and a value."""
        found: dict[str, list[tuple[int, float]]] = {}
        for made in self.passes:
            if made.part == part:
                for name, value in made.figures.items():
                    found.setdefault(name, []).append((made.number, value))
        return found


@contextmanager
def recording(
    curves: Curves,
    *,
    name: str,
    settings: Mapping[str, Any],
    tensorboard: Path | None,
    progress: Progress,
    environment: Mapping[str, str] = os.environ,
) -> Iterator[Record]:
    """Give what a training records its passes with; what was opened is closed at the end.

    Parameters
    ----------
    curves
        Takes every pass.
    name
        Of the run, in Weights & Biases.
    settings
        Of the training, for Weights & Biases.
    tensorboard
        Folder to write scalars into; None for none.
    progress
        Is told where the figures go, and why they do not go to Weights & Biases although its key is set.
    environment
        Where Weights & Biases' key is looked for; the package reads its other variables itself.
    """
    with ExitStack() as stack:
        records: list[Record] = [curves]
        if tensorboard is not None:
            records.append(stack.enter_context(_tensorboard(tensorboard)))
            progress(f"scalars go to {tensorboard}: look at them with `tensorboard --logdir {tensorboard}`")
        if environment.get(WANDB_KEY):
            if importlib.util.find_spec("wandb") is None:
                progress(
                    f"{WANDB_KEY} is set, but the package wandb is not installed, so nothing goes to Weights & Biases: "
                    f"`pip install wandb`, or unset {WANDB_KEY}"
                )
            else:
                records.append(stack.enter_context(_wandb(name, settings)))

        def record(made: Pass) -> None:
            for each in records:
                each(made)

        yield record


@contextmanager
def _tensorboard(folder: Path) -> Iterator[Record]:
    # Imported here: it takes a second, and only those who ask for it need the package.
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder))

    def record(made: Pass) -> None:
        for name, value in made.figures.items():
            writer.add_scalar(f"{made.part}/{name}", value, made.number)
        writer.flush()

    try:
        yield record
    finally:
        writer.close()


@contextmanager
def _wandb(name: str, settings: Mapping[str, Any]) -> Iterator[Record]:
    wandb: Any = importlib.import_module("wandb")
    run = wandb.init(
        project=os.environ.get("WANDB_PROJECT", "lastclick"), name=name, config=dict(settings), reinit="create_new"
    )
    parts: set[str] = set()

    def record(made: Pass) -> None:
        # Each part counts its own passes, and a run's own steps may only rise.
        if made.part not in parts:
            parts.add(made.part)
            run.define_metric(f"{made.part}/*", step_metric=f"{made.part}/pass")
        run.log({f"{made.part}/{key}": value for key, value in ({"pass": made.number} | made.figures).items()})

    try:
        yield record
    finally:
        run.finish()
