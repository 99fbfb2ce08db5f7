"""A search for better settings: ranges and a training in, the settings that validated best out.

Optuna proposes settings (a tree-structured Parzen estimator), beginning with the defaults, and drops trials that are
behind the median of the others after the same pass. The study is a SQLite file: a search that was killed goes on from
it, and the trial that was under way from its last pass. Each proposal draws from the seed and the number of trials that
had ended, so that a search that was killed proposes what it would have.
"""

from __future__ import annotations

import hashlib
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic

import optuna
from optuna.trial import FrozenTrial, TrialState

from training.reporting import VALIDATION, Pass, Progress, Record
from training.search import Between, Ranges, Settings, changes, write_settings

STUDY = "study.db"
BEST = "best.json"
DECIDES = VALIDATION + "ndcg_10"
"""The figure of every pass that decides whether a trial goes on."""

_LEARNING_TRIALS = 5
"""Trials that end before one is dropped, and before proposals follow what was found."""
_LEARNING_PASSES = 2
"""Passes of a trial before it can be dropped."""
_ENDED = (TrialState.COMPLETE, TrialState.PRUNED)

Objective = Callable[[Settings, Record, Path], float]
"""Settings, what to record passes with, and a folder for checkpoints, to the validation figure of what was trained."""


class TuneError(RuntimeError):
    """A search that cannot start: says what was seen and what to do."""


@dataclass(frozen=True)
class Trial:
    """A trial that ended: the settings that were not the defaults, its figure, its passes, whether it was dropped."""

    number: int
    changed: dict[str, Any]
    validation: float
    passes: int
    dropped: bool
    seconds: float


@dataclass(frozen=True)
class Tuned(Generic[Settings]):
    """What a search found.

    Parameters
    ----------
    best
        The settings that validated best.
    changed
        Those of them that are not the defaults.
    validation, default
        NDCG@10 on validation of the best settings and of the defaults.
    trials
        Every trial that ended, in order.
    file
        Where the best settings were written.
    """

    best: Settings
    changed: dict[str, Any]
    validation: float
    default: float
    trials: list[Trial]
    file: Path


def tune(
    objective: Objective[Settings],
    defaults: Settings,
    ranges: Ranges,
    *,
    data: str,
    watched: str,
    folder: Path,
    trials: int,
    budget_s: float,
    seed: int,
    progress: Progress,
) -> Tuned[Settings]:
    """Search, or go on with the search that `folder` holds.

    Parameters
    ----------
    objective
        Trains on one set of settings.
    defaults
        What is tried first; settings without a range keep these values.
    ranges
        What may be tried.
    data
        Names the data, such as its digest: a folder holds searches on one.
    watched
        Part whose passes decide whether a trial is dropped (`training.reporting.Pass.part`).
    folder
        For the study, checkpoints, and the best settings.
    trials
        Trials that end, those of earlier runs among them.
    budget_s
        Wall-clock time of this run, seconds. The trial under way when it is spent is broken off after its pass, and
        goes on in the next run; the first trial of a study always ends.
    seed
        Of the proposals; that of the trainings is theirs.
    progress
        Is told a line a trial.

    Raises
    ------
    TuneError
        When the folder holds a search on other data, other defaults or other ranges, or no trial ended.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    folder.mkdir(parents=True, exist_ok=True)
    study = _open(folder, f"{data} {defaults} {ranges} {seed}")
    _take_up(study)
    started = time.monotonic()
    while len(ended := _ended(study)) < trials and (not ended or time.monotonic() - started < budget_s):
        deadline = started + budget_s if ended else float("inf")
        study.sampler = optuna.samplers.TPESampler(seed=_seed_of(seed, len(ended)), n_startup_trials=_LEARNING_TRIALS)
        if not ended and not study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            study.enqueue_trial({name: getattr(defaults, name) for name in ranges})
        trial = study.ask()
        settings = replace(defaults, **{name: _proposed(trial, name, range_) for name, range_ in ranges.items()})
        progress(f"trial {len(ended) + 1}/{trials}: {changes(settings, defaults) or 'the defaults'}")
        checkpoints = folder / "checkpoints" / hashlib.sha256(repr(settings).encode()).hexdigest()[:16]
        began = time.monotonic()
        try:
            value = objective(settings, _watching(trial, watched, deadline), checkpoints)
            state = TrialState.COMPLETE
        except optuna.TrialPruned:
            value, state = _last(study.trials[trial.number]), TrialState.PRUNED
        except ArithmeticError as error:
            progress(f"dropped: {error}")
            value, state = 0.0, TrialState.PRUNED
        except _BudgetSpent:
            progress("the budget is spent; the trial under way goes on in the next run")
            break
        trial.set_user_attr("seconds", round(time.monotonic() - began, 1))
        study.tell(trial, value if state is TrialState.COMPLETE else None, state)
        shutil.rmtree(checkpoints, ignore_errors=True)
        _tell(study, value, state, trials, started, budget_s, progress)
    found = [_trial_of(one, defaults) for one in _ended(study)]
    complete = [one for one in found if not one.dropped]
    if not complete:
        raise TuneError(f"{folder}: saw no trial that ended, expected one: give it more than {trials} trials")
    best = max(complete, key=lambda one: one.validation)
    settings = replace(defaults, **best.changed)
    return Tuned(
        best=settings,
        changed=changes(settings, defaults),
        validation=best.validation,
        default=complete[0].validation,
        trials=found,
        file=write_settings(folder / BEST, settings),
    )


class _BudgetSpent(Exception):
    """The wall-clock time of a run is over."""


def _open(folder: Path, identity: str) -> optuna.Study:
    """Open the study of a folder, or make it; `TuneError` when it is one of something else."""
    study = optuna.create_study(
        storage=f"sqlite:///{folder / STUDY}",
        study_name="lastclick",
        direction="maximize",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=_LEARNING_TRIALS, n_warmup_steps=_LEARNING_PASSES),
    )
    held = study.user_attrs.get("identity")
    if held is None:
        study.set_user_attr("identity", identity)
    elif held != identity:
        raise TuneError(
            f"{folder}: holds a search on other data, defaults, ranges or with another seed; name another folder, or "
            "remove it"
        )
    return study


def _take_up(study: optuna.Study) -> None:
    """Ask once more for the trial that a kill or the budget broke off; its checkpoints are still there."""
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        if _ended(study):  # the first trial is asked for anyway
            study.enqueue_trial(trial.params)


def _ended(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=_ENDED)


def _seed_of(seed: int, ended: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{seed} {ended}".encode()).digest()[:4], "big")


def _proposed(trial: optuna.Trial, name: str, range_: Between | Any) -> Any:
    if isinstance(range_, Between):
        return trial.suggest_float(name, range_.least, range_.most, log=range_.logarithmic)
    return trial.suggest_categorical(name, range_.values)


def _watching(trial: optuna.Trial, watched: str, deadline: float) -> Record:
    def record(made: Pass) -> None:
        if made.part == watched and DECIDES in made.figures:
            trial.report(made.figures[DECIDES], made.number)
            if trial.should_prune():
                raise optuna.TrialPruned
        if time.monotonic() > deadline:
            raise _BudgetSpent

    return record


def _last(trial: FrozenTrial) -> float:
    """Give the figure of a trial's last pass; 0 where it diverged before one."""
    return trial.intermediate_values[max(trial.intermediate_values)] if trial.intermediate_values else 0.0


def _tell(
    study: optuna.Study,
    value: float,
    state: TrialState,
    trials: int,
    started: float,
    budget_s: float,
    progress: Progress,
) -> None:
    ended = len(_ended(study))
    spent_s = time.monotonic() - started
    seconds = [one.user_attrs["seconds"] for one in _ended(study)]
    left_s = min(max(budget_s - spent_s, 0.0), sum(seconds) / len(seconds) * (trials - ended))
    verdict = "dropped" if state is TrialState.PRUNED else "ended"
    progress(
        f"trial {ended}/{trials} {verdict}: validation NDCG@10 {value:.4f}, best {study.best_value:.4f}; "
        f"{spent_s:.0f} s, at most {left_s:.0f} s left"
    )


def _trial_of(trial: FrozenTrial, defaults: Any) -> Trial:
    dropped = trial.state is TrialState.PRUNED
    value = _last(trial) if dropped or trial.value is None else trial.value
    return Trial(
        number=trial.number,
        changed=changes(replace(defaults, **trial.params), defaults),
        validation=round(value, 4),
        passes=len(trial.intermediate_values),
        dropped=dropped,
        seconds=trial.user_attrs["seconds"],
    )
