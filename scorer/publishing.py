"""Model bundles as they are written: staged in a hidden folder, then published in one atomic step.

In: files that training wrote into a staging folder, and a `Manifest`. Out: ``<models>/<name>/<version>``, and
``<models>/<name>/CURRENT`` naming it; a reader sees the old bundle or the new one, never a half.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from scorer.bundle import CURRENT, GOLDEN, MANIFEST, Manifest, check_files, hash_files, read_manifest


@contextmanager
def staged_bundle(models_dir: Path, name: str) -> Iterator[Path]:
    """Give a hidden folder beside the versions of `name` to write into; what isn't published is removed."""
    home = models_dir / name
    home.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".staging-", dir=home))
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def write_manifest(folder: Path, manifest: Manifest) -> Manifest:
    """Complete `manifest` with hashes, time and version, and write it into `folder`."""
    files = hash_files(folder)
    content = hashlib.sha256(repr(sorted(files.items())).encode()).hexdigest()
    now = datetime.now(UTC)
    complete = msgspec.structs.replace(
        manifest,
        files=files,
        created_at=now.isoformat(timespec="seconds"),
        version=f"{now:%Y%m%d-%H%M%S}-{content[:6]}",
    )
    encoded = msgspec.json.format(msgspec.json.encode(complete), indent=1)
    (folder / MANIFEST).write_bytes(encoded + b"\n")
    return complete


def publish_bundle(staging: Path, models_dir: Path) -> Path:
    """Move a written bundle to its version's folder and make it the newest, each in one atomic step.

    Parameters
    ----------
    staging
        Folder from `staged_bundle`, with its manifest written.
    models_dir
        Folder of all bundles, the one given to `staged_bundle`.

    Returns
    -------
    Path
        ``<models_dir>/<name>/<version>``.
    """
    manifest = read_manifest(staging)
    check_files(staging, manifest)
    home = models_dir / manifest.name
    target = home / manifest.version
    staging.chmod(0o755)  # mkdtemp's folders are for their owner only; workers may run as another user
    staging.rename(target)
    pointer = home / f".{CURRENT}-{os.getpid()}"
    pointer.write_text(manifest.version + "\n", encoding="utf-8")
    pointer.replace(home / CURRENT)
    return target


def save_golden(folder: Path, inputs: Mapping[str, NDArray[Any]], outputs: Mapping[str, NDArray[Any]]) -> None:
    """Write the golden inputs and outputs of a graph into `folder`, by the graph's names for them."""
    arrays = {f"in/{name}": array for name, array in inputs.items()}
    arrays |= {f"out/{name}": array for name, array in outputs.items()}
    np.savez(folder / GOLDEN, **arrays)  # type: ignore[arg-type]  # the stub takes the names for allow_pickle
