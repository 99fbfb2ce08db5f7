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
