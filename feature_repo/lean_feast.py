"""Imports Feast the short way; import this before anything of Feast.

Feast compiles run-time type checks into its classes while it is imported (3.3 s of 4.9 s of processor time) and
imports torch when that is installed (2 s and its memory). A worker that was killed should be back sooner than that,
our calls are checked by mypy, and torch belongs to training. It also moves every metric of the process into files
below the temporary folder, which a killed worker leaves behind and in which equal metrics of two registries add up.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import prometheus_client  # noqa: F401  # before Feast, see _without_shared_metrics
import typeguard

_METRICS_FOLDERS = ("PROMETHEUS_MULTIPROCESS_DIR", "PROMETHEUS_MULTIPROC_DIR")


@contextmanager
def _without_type_checks() -> Iterator[None]:
    checked = typeguard.typechecked
    typeguard.typechecked = _unchecked
    try:
        yield
    finally:
        typeguard.typechecked = checked


@contextmanager
def _without_torch() -> Iterator[None]:
    """Make `import torch` fail, which Feast is prepared for, unless somebody has imported it already."""
    hidden = "torch" not in sys.modules
    if hidden:
        sys.modules["torch"] = None  # type: ignore[assignment]  # how Python marks what must not be imported
    try:
        yield
    finally:
        if hidden:
            del sys.modules["torch"]


@contextmanager
def _without_shared_metrics() -> Iterator[None]:
    """Keep metrics in memory: as Prometheus has decided once it is imported; Feast makes no folder when one is set."""
    added = [name for name in _METRICS_FOLDERS if name not in os.environ]
    os.environ.update(dict.fromkeys(added, ""))
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def _unchecked(target: Any = None, **options: Any) -> Any:
    return (lambda decorated: decorated) if target is None else target


# Feast also puts filters of its own before everybody's, and kafka-python's deprecations on every screen.
with _without_type_checks(), _without_torch(), _without_shared_metrics(), warnings.catch_warnings():
    import feast  # noqa: F401
