r"""Settings tried on validation moments, a JSON line a trial: hours of trials are one command, which may be killed.

    python -m training.next_item.trials trials.jsonl --sequences Beauty.txt --sequences Toys_and_Games.txt \
        --set width=64,128 --set dropout=0.3,0.5 --seeds 0,1

In: files, and values of settings, of which every combination is tried on every file with every seed. Out: a line for
each in the log, with its validation figures. Trials that the log holds are not made again; one that was killed goes on
from its last pass. No trial looks at a test item: with ``--held-out`` each user's last item is taken out of the file
first, and what validates otherwise is tested instead, refit and all.
"""

from __future__ import annotations

import hashlib
import itertools
import shutil
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any

import msgspec
import torch
import typer

from training.next_item.evaluation import open_device
from training.next_item.figures import list_figures, ranks
from training.next_item.mixture import train_mixture
from training.next_item.sequences import Split, split_sessions, split_users, without_last
from training.next_item.settings import NextItemSettings, SettingsError
from training.reporting import Progress
from training.search import changes

_READ: dict[str, Callable[[str], Any]] = {
    "int": int,
    "float": float,
    "bool": lambda text: {"true": True, "false": False}[text],
    "str": str,
}


class Trial(msgspec.Struct, frozen=True):
    """A trial that was made.

    Parameters
    ----------
    key
        sha256 of data, settings, seed and kind: what tells trials apart.
    source
        The file.
    changed
        Settings that are not the defaults of its time.
    seed
        Of everything drawn at random.
    validation
        Figures of the ``mixture``, and of the ``transformer`` and the ``neighbours`` alone.
    held_out
        With ``--held-out``, figures on the items that validate otherwise; else None.
    neighbours_weight
        Chosen on validation.
    passes
        Of each member.
    seconds
        Wall-clock time of training.
    """

    key: str
    source: str
    changed: dict[str, Any]
    seed: int
    validation: dict[str, dict[str, float]]
    held_out: dict[str, float] | None
    neighbours_weight: float
    passes: list[int]
    seconds: float


def run_trials(
    log: Path,
    splits: list[Split],
    candidates: list[NextItemSettings],
    seeds: list[int],
    *,
    device: torch.device,
    budget_s: float,
    held_out: bool,
    progress: Progress,
) -> list[Trial]:
    """Make the trials that `log` does not hold yet, and add a line for each.

    Parameters
    ----------
    log
        JSON lines; checkpoints of the trial under way are kept in a folder beside it.
    splits, candidates, seeds
        Of which every combination is tried.
    device
        To train on.
    budget_s
        Wall-clock time of one trial's training, seconds.
    held_out
        Whether to refit as the settings say and to measure the moments that `splits` test: they must come from
        `without_last`. Else nothing is refitted, and validation figures are all.
    progress
        Is told of each pass and trial.

    Returns
    -------
    list
        All trials asked for, those that the log held already among them.
    """
    held = {trial.key: trial for trial in read_trials(log)}
    wanted = list(itertools.product(candidates, splits, seeds))
    made = []
    for number, (settings, split, seed) in enumerate(wanted, start=1):
        identity = f"{split.digest} {settings} {seed} {held_out}"
        key = hashlib.sha256(identity.encode()).hexdigest()[:16]
        if key not in held:
            tried = settings if held_out else replace(settings, refit=False)
            changed = changes(settings, NextItemSettings())
            progress(f"trial {number} of {len(wanted)}: {split.source} seed {seed} {changed}")
            checkpoints = log.with_suffix(".checkpoints") / key
            trained = train_mixture(
                split, tried, seed=seed, device=device, budget_s=budget_s, folder=checkpoints, progress=progress
            )
            tested = ranks(split.test, trained.mixture.score, mask_seen=split.mask_seen) if held_out else None
            held[key] = Trial(
                key=key,
                source=split.source,
                changed=changed,
                seed=seed,
                validation=trained.validation,
                held_out=None if tested is None else list_figures(tested),
                neighbours_weight=trained.mixture.weight,
                passes=trained.passes,
                seconds=round(trained.seconds, 1),
            )
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("ab") as lines:
                lines.write(msgspec.json.encode(held[key]) + b"\n")
            shutil.rmtree(checkpoints)
        made.append(held[key])
    return made


def read_trials(log: Path) -> list[Trial]:
    """Read the trials of a log; none where there is no log.

    Raises
    ------
    msgspec.ValidationError
        When a line is no trial.
    """
    if not log.exists():
        return []
    return [msgspec.json.decode(line, type=Trial) for line in log.read_bytes().splitlines()]


def combinations(choices: list[str]) -> Iterator[NextItemSettings]:
    """Give settings for every combination of choices such as ``width=64,128``; the defaults for none.

    Raises
    ------
    SettingsError
        When a choice is not of that form, names no setting, or has a value that does not fit it.
    """
    types = {field.name: str(field.type) for field in fields(NextItemSettings)}
    names, values = [], []
    for choice in choices:
        name, equals, listed = choice.partition("=")
        if not equals or types.get(name) not in _READ:
            known = ", ".join(name for name, type_ in types.items() if type_ in _READ)
            raise SettingsError(f"--set {choice}: expected NAME=VALUE,VALUE with NAME one of {known}")
        try:
            values.append([_READ[types[name]](value) for value in listed.split(",")])
        except (ValueError, KeyError) as error:
            raise SettingsError(f"--set {choice}: saw {listed!r}, expected {types[name]} values") from error
        names.append(name)
    for chosen in itertools.product(*values):
        yield NextItemSettings(**dict(zip(names, chosen, strict=True)))


def main(
    log: Annotated[Path, typer.Argument(help="JSON lines of trials, added to.")],
    sequences: Annotated[list[Path] | None, typer.Option(help="A file with a user a line; may be repeated.")] = None,
    sessions: Annotated[tuple[Path, Path] | None, typer.Option(help="Files of training sessions and prefixes.")] = None,
    choices: Annotated[list[str] | None, typer.Option("--set", help="NAME=VALUE,VALUE; may be repeated.")] = None,
    seeds: Annotated[str, typer.Option(help="Seeds, with commas between them.")] = "0",
    budget_s: Annotated[float, typer.Option("--budget-s", min=1, help="Seconds for one trial.")] = 3600.0,
    threads: Annotated[int, typer.Option(min=0, help="Threads of torch; 0 leaves its own choice.")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto for a GPU where there is one.")] = "auto",
    held_out: Annotated[bool, typer.Option(help="Take users' last items out, and test those before them.")] = False,
) -> None:
    """Try settings on validation moments; see the module."""
    if threads:
        torch.set_num_threads(threads)
    splits = [split_users(path) for path in sequences or []]
    if held_out:
        splits = [without_last(split) for split in splits]
    if sessions and not held_out:
        splits.append(split_sessions(*sessions))
    trials = run_trials(
        log,
        splits,
        list(combinations(choices or [])),
        [int(seed) for seed in seeds.split(",")],
        device=open_device(device),
        budget_s=budget_s,
        held_out=held_out,
        progress=lambda message: typer.echo(message, err=True),
    )
    for trial in trials:
        typer.echo(msgspec.json.encode(trial).decode())


if __name__ == "__main__":
    typer.run(main)
