"""Model bundles as they are loaded: a folder with a graph, its tables, a manifest and golden answers.

In: a folder ``<models>/<name>/<version>``, named by ``<models>/<name>/CURRENT``. Out: a `Bundle` whose files
are the ones that were written, for the encoder and features of this code, or a `BundleError` that says what
does not hold. `scorer.publishing` writes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from scorer.tables import TablesError, read_tables

MANIFEST = "manifest.json"
GOLDEN = "golden.npz"
MODEL_CARD = "MODEL_CARD.md"
CURRENT = "CURRENT"

Kind = Literal["recommender", "sentiment", "text-encoder", "aspects"]


class BundleError(Exception):
    """A bundle that must not be served: names it, what is wrong, what was seen, what was expected."""

    def __init__(self, path: Path, what: str, *, seen: object, expected: object, remedy: str) -> None:
        super().__init__(f"bundle {path}: {what}: saw {seen}, expected {expected}; {remedy}")
        self.path = path
        self.what = what
        self.seen = seen
        self.expected = expected


class TrainedOn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The log that a recommender was trained on, and the part of it that training looked at.

    Parameters
    ----------
    source, path, options
        As `feature_repo.sources.open_source` takes them; `path` is empty for a source that reads no file.
    from_ms, until_ms
        Training looked at events in [`from_ms`, `until_ms`), ms since the epoch. Both are 0 where that is not known.
    """

    source: str = ""
    path: str = ""
    options: dict[str, int | str | dict[str, str]] = {}
    from_ms: int = 0
    until_ms: int = 0


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a bundle is, and everything that must hold before it is served.

    Parameters
    ----------
    name, kind
        Name it is published under, and what loads it.
    version
        ``YYYYMMDD-HHMMSS-xxxxxx``, UTC and six digits of the files' hash; written by `publish_bundle`.
    created_at
        ISO time in UTC; written by `publish_bundle`.
    encoder_version
        Version of the code that makes the graph's inputs.
    feature_names
        Order of the features that the graph reads; empty for text models.
    items
        Rows of the item table; 0 for text models.
    dims
        Sizes by name, such as ``item``, ``text`` and ``user``.
    max_length
        Longest sequence (history entries or tokens) that the graph was trained on.
    settings
        What else loading needs, by name: pooling, labels, prefixes, thresholds.
    golden_tolerance
        Largest absolute difference from a golden output that is accepted, in the output's unit.
    metrics
        Measured when it was trained, by name.
    note
        Data it was trained on, and its licence.
    trained_on
        The log, where it was one.
    files
        Every other file of the folder and its sha256; written by `publish_bundle`.
    """

    name: str
    kind: Kind
    encoder_version: str
    max_length: int
    golden_tolerance: float
    note: str
    version: str = ""
    created_at: str = ""
    feature_names: tuple[str, ...] = ()
    items: int = 0
    dims: dict[str, int] = {}
    settings: dict[str, str | float | list[str]] = {}
    metrics: dict[str, float] = {}
    trained_on: TrainedOn = TrainedOn()
    files: dict[str, str] = {}


@dataclass(frozen=True)
class Bundle:
    """A verified bundle: `path` of its folder, and its `manifest`."""

    path: Path
    manifest: Manifest

    def file(self, name: str) -> Path:
        """Path of one of the bundle's files; `BundleError` when the manifest does not list it."""
        if name not in self.manifest.files:
            raise BundleError(
                self.path,
                "file missing from the manifest",
                seen=sorted(self.manifest.files),
                expected=name,
                remedy="train it again",
            )
        return self.path / name

    def tables(self, name: str, *needed: str) -> dict[str, NDArray[Any]]:
        """Arrays of one ``.npz`` file, by name; `BundleError` when it can't be read or lacks a needed one."""
        with self.blamed(name, TablesError):
            tables = read_tables(self.file(name))
        if not tables.keys() >= set(needed):
            raise BundleError(self.path, name, seen=sorted(tables), expected=sorted(needed), remedy="train it again")
        return tables

    @contextmanager
    def blamed(self, what: str, *errors: type[Exception]) -> Iterator[None]:
        """Turn these errors into a `BundleError` about `what`."""
        try:
            yield
        except errors as error:
            raise BundleError(
                self.path, what, seen=error, expected="what `lastclick train` writes", remedy="train it again"
            ) from error

    def golden(self) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
        """Golden inputs and golden outputs of the graph, by name."""
        tables = self.tables(GOLDEN)
        inputs = {key.removeprefix("in/"): array for key, array in tables.items() if key.startswith("in/")}
        return inputs, {key.removeprefix("out/"): array for key, array in tables.items() if key.startswith("out/")}

    def check_golden(self, outputs: Mapping[str, NDArray[Any]]) -> None:
        """Hold the graph's `outputs` for the golden inputs against the golden outputs.

        Raises
        ------
        BundleError
            When the outputs are not the golden ones by name, shape and value, within the manifest's tolerance.
        """
        tolerance = self.manifest.golden_tolerance
        golden = self.golden()[1]
        if golden.keys() != outputs.keys():
            raise BundleError(
                self.path,
                "golden outputs",
                seen=sorted(outputs),
                expected=sorted(golden),
                remedy="train it again",
            )
        for name, expected in golden.items():
            seen = outputs[name]
            if seen.shape != expected.shape or expected.dtype.kind != "f":
                raise BundleError(
                    self.path,
                    f"golden output {name!r}",
                    seen=f"{seen.dtype} {seen.shape}",
                    expected=f"{expected.dtype} {expected.shape}",
                    remedy="train it again",
                )
            distance = float(np.max(np.abs(seen.astype(np.float64) - expected), initial=0.0))
            if not distance <= tolerance:
                raise BundleError(
                    self.path,
                    f"golden output {name!r} is not reproduced",
                    seen=f"a difference of {distance:.2g}",
                    expected=f"at most {tolerance:.2g}",
                    remedy="the graph or its runtime differs from the one exported: export it again here",
                )


def load_bundle(
    path: Path,
    kind: Kind,
    *,
    encoder_version: str | None = None,
    feature_names: Sequence[str] | None = None,
) -> Bundle:
    """Read and verify the bundle in folder `path`.

    Checks that its kind, its encoder version and its feature order are the given ones (where given), that
    every listed file has its hash and that no unlisted file lies beside them. The golden outputs are the
    caller's to check, with the session it opens (`Bundle.check_golden`).

    Raises
    ------
    BundleError
        On the first of these that does not hold.
    """
    manifest = read_manifest(path)
    if manifest.kind != kind:
        raise BundleError(path, "kind", seen=manifest.kind, expected=kind, remedy="name the right bundle")
    again = f"train it again: lastclick train {kind}"
    if encoder_version is not None and manifest.encoder_version != encoder_version:
        raise BundleError(
            path, "encoder version", seen=manifest.encoder_version, expected=encoder_version, remedy=again
        )
    if feature_names is not None and manifest.feature_names != tuple(feature_names):
        seen, expected = _first_difference(manifest.feature_names, tuple(feature_names))
        raise BundleError(path, "feature order", seen=seen, expected=expected, remedy=again)
    check_files(path, manifest)
    return Bundle(path, manifest)


def latest_bundle(models_dir: Path, name: str) -> Path:
    """Folder of the newest published bundle `name`; `BundleError` when there is none."""
    current = models_dir / name / CURRENT
    if not current.is_file():
        raise BundleError(
            models_dir / name,
            "none published",
            seen="no file CURRENT",
            expected=current,
            remedy=f"run lastclick train {name}",
        )
    version = current.read_text(encoding="utf-8").strip()
    folder = models_dir / name / version
    if not version or Path(version).name != version or not folder.is_dir():
        raise BundleError(
            models_dir / name,
            "version named in CURRENT",
            seen=repr(version),
            expected="a folder beside it",
            remedy=f"run lastclick train {name}",
        )
    return folder


def read_manifest(path: Path) -> Manifest:
    """Read the manifest of the bundle in folder `path`; `BundleError` when it can't be."""
    try:
        return msgspec.json.decode((path / MANIFEST).read_bytes(), type=Manifest)
    except OSError as error:
        raise BundleError(
            path,
            "cannot read its manifest",
            seen=error.strerror,
            expected=MANIFEST,
            remedy="name a bundle's folder",
        ) from error
    except (ValueError, RecursionError) as error:  # bytes that are not UTF-8 have no error of msgspec's
        raise BundleError(
            path, "manifest", seen=str(error), expected="a manifest of this version", remedy="train it again"
        ) from error


def hash_manifest(path: Path) -> str:
    """Sha256 in hex of the manifest in folder `path`, which names the hash of every other file: the bundle's identity.

    Raises
    ------
    BundleError
        When there is no manifest.
    """
    try:
        return _sha256(path / MANIFEST)
    except OSError as error:
        raise BundleError(
            path, "cannot read its manifest", seen=error.strerror, expected=MANIFEST, remedy="name a bundle's folder"
        ) from error


def check_files(path: Path, manifest: Manifest) -> None:
    """Hold every file of folder `path` against the manifest; `BundleError` for the first that differs."""
    restore = "restore the folder or train it again"
    present = {file.name for file in _files(path)}
    if present != set(manifest.files):
        raise BundleError(path, "files", seen=sorted(present), expected=sorted(manifest.files), remedy=restore)
    for name, expected in manifest.files.items():
        seen = _sha256(path / name)
        if seen != expected:
            raise BundleError(path, f"sha256 of {name}", seen=seen, expected=expected, remedy=restore)


def hash_files(folder: Path) -> dict[str, str]:
    """Hash every file of `folder` but the manifest and hidden ones: sha256 in hex by file name."""
    return {file.name: _sha256(file) for file in sorted(_files(folder))}


def _files(folder: Path) -> list[Path]:
    return [file for file in folder.iterdir() if file.name != MANIFEST and not file.name.startswith(".")]


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _first_difference(seen: tuple[str, ...], expected: tuple[str, ...]) -> tuple[str, str]:
    for place, (left, right) in enumerate(zip(seen, expected, strict=False)):
        if left != right:
            return f"{left!r} at place {place}", f"{right!r}"
    return f"{len(seen)} features", f"{len(expected)} features"
