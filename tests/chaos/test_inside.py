"""The moments that are noted inside workers are those of methods that workers have."""

from __future__ import annotations

import importlib

from tests.chaos.in_worker.sitecustomize import NOTED
from tests.chaos.recovery import SHOWN


def test_noted_methods_exist() -> None:
    for module, (class_name, methods) in NOTED.items():
        owner = getattr(importlib.import_module(module), class_name)
        assert [method for method in methods if method not in vars(owner)] == []


def test_shown_stages_are_noted() -> None:
    noted = {f"{method} {edge}" for _, methods in NOTED.values() for method in methods for edge in ("begins", "ends")}
    assert set(SHOWN) - noted == {"interpreter", "fresh"}
