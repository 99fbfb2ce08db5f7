from __future__ import annotations

import subprocess
import sys

SCRIPT = """
import importlib, sys, typeguard
checked = typeguard.typechecked
importlib.import_module("feature_repo.online")
assert typeguard.typechecked is checked
assert "torch" not in sys.modules, "Feast imported torch"
import feast
assert not hasattr(feast.FeatureView.__init__, "__wrapped__")
"""


def test_a_worker_imports_feast_without_torch_and_leaves_typeguard_as_it_was() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_metrics_stay_in_memory() -> None:
    """Feast would put them into files, where those of two registries of a process add up."""
    code = (
        "import os, feature_repo.online\n"
        "from prometheus_client import CollectorRegistry, Counter\n"
        "for _ in range(2):\n"
        "    counter = Counter('seen', 'Seen', registry=CollectorRegistry()); counter.inc()\n"
        "print(counter._value.get(), [name for name in os.environ if name.startswith('PROMETHEUS_')])\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.split() == ["1.0", "[]"]
