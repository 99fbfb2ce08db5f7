"""The fuzzers for a few seconds: their seeds, whatever they once found, and inputs of their own where atheris is."""

from __future__ import annotations

import importlib
import importlib.util
import random
import subprocess
import sys
from types import ModuleType

import pytest

from tests.fuzz.__main__ import NAMES


@pytest.fixture(params=NAMES)
def target(request: pytest.FixtureRequest) -> ModuleType:
    return importlib.import_module(f"tests.fuzz.fuzz_{request.param}")


def test_seeds_and_what_was_found_pass(target: ModuleType) -> None:
    for data in (*target.SEEDS, *target.FOUND):
        target.check(data)


def test_random_inputs_pass(target: ModuleType) -> None:
    chance = random.Random(target.__name__)
    for _ in range(500):
        target.check(chance.randbytes(2) + chance.randbytes(chance.randrange(40)))


@pytest.mark.skipif(importlib.util.find_spec("atheris") is None, reason="atheris is not installed")
def test_fuzzers_run_and_find_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--seconds", "2"], capture_output=True, text=True, timeout=120
    )

    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stderr.count("stat::number_of_executed_units") == len(NAMES)
