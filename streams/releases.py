"""What every worker must serve: values of the topic ``releases``, and the bundles that they point to.

A release names the bundle of one model, and those that were served before it, newest first: rolling back needs nothing
that compaction removes. Locations are below the folder of models, so that machines may keep it in different places.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import get_args

import msgspec

from scorer.bundle import BundleError, hash_manifest, read_manifest
from scorer.gate_report import ReleasedName

RELEASED_NAMES: tuple[ReleasedName, ...] = get_args(ReleasedName)

MOST_EARLIER = 10
"""Bundles served before that a release remembers."""


class ReleaseError(ValueError):
    """A release that cannot be made or read: says what was seen, what was expected and what to do."""


class Pointer(msgspec.Struct, frozen=True):
    """Where a bundle lies below the folder of models, and the sha256 of its manifest, which holds all other hashes."""

    version: str
    location: str
    sha256: str


class Release(msgspec.Struct, frozen=True, kw_only=True):
    """Value of the ``releases`` topic: the bundle of one model that every worker must serve.

    ``by`` is who released it and ``reason`` why; ``earlier`` are the bundles served before, newest first.
    """

    version: str
    location: str
    sha256: str
    metrics: dict[str, float]
    released_at_ms: int
    by: str
    reason: str = ""
    earlier: tuple[Pointer, ...] = ()

    @property
    def pointer(self) -> Pointer:
        """The bundle."""
        return Pointer(self.version, self.location, self.sha256)

    @property
    def candidates(self) -> tuple[Pointer, ...]:
        """The bundle, then those served before it."""
        return (self.pointer, *self.earlier)


def decode_release(name: str, value: bytes) -> Release:
    """Release of the model `name` from its bytes; `ReleaseError` when they are none."""
    try:
        return msgspec.json.decode(value, type=Release)
    except (ValueError, RecursionError) as error:
        raise ReleaseError(f"release of {name!r}: {error}; release it again with `lastclick release {name}`") from error


def point_to(path: Path) -> Pointer:
    """Point to the bundle in folder ``<models>/<name>/<version>``; `BundleError` when it has no manifest."""
    return Pointer(path.name, f"{path.parent.name}/{path.name}", hash_manifest(path))


def find_bundle(models: Path, name: str, pointer: Pointer) -> Path:
    """Folder of the bundle that `pointer` names.

    Raises
    ------
    BundleError
        When it is not below `models`, or its manifest is not the one that was released, or not of this model.
    """
    path = models / pointer.location
    if Path(pointer.location).is_absolute() or ".." in Path(pointer.location).parts:
        raise BundleError(
            path,
            "location",
            seen=repr(pointer.location),
            expected="a folder below that of the models",
            remedy="release a published bundle",
        )
    seen = hash_manifest(path)
    if seen != pointer.sha256:
        raise BundleError(
            path,
            "sha256 of its manifest",
            seen=seen,
            expected=f"{pointer.sha256}, which was released",
            remedy="restore the folder, or release it again",
        )
    manifest = read_manifest(path)
    if (manifest.name, manifest.version) != (name, pointer.version):
        raise BundleError(
            path,
            "name and version",
            seen=f"{manifest.name} {manifest.version}",
            expected=f"{name} {pointer.version}",
            remedy="release the right bundle",
        )
    return path


def next_release(
    pointer: Pointer, served: Release | Pointer | None, metrics: dict[str, float], by: str, reason: str = ""
) -> Release:
    """Release a bundle after the one that is served now, or after none."""
    former: Iterable[Pointer] = ()
    if isinstance(served, Release):
        former = served.candidates
    elif served is not None:
        former = (served,)
    earlier = tuple(each for each in former if each != pointer)
    return _release(pointer, metrics, by, reason, earlier[:MOST_EARLIER])


def release_back(current: Release, to: Pointer, metrics: dict[str, float], by: str, reason: str) -> Release:
    """Release a bundle that was served before; what was served before that one is what it may go back to next."""
    earlier = current.earlier[current.earlier.index(to) + 1 :] if to in current.earlier else ()
    return _release(to, metrics, by, reason, earlier)


def find_earlier(name: str, current: Release | None, version: str | None) -> Pointer:
    """Bundle to go back to: that of `version`, or the one served before.

    Raises
    ------
    ReleaseError
        When nothing was released, or what is asked for was not served before.
    """
    if current is None:
        raise ReleaseError(
            f"model {name!r}: saw no release on the topic, expected one to go back from; release a bundle first: "
            f"`lastclick release {name}`"
        )
    if version is None:
        if not current.earlier:
            raise ReleaseError(
                f"model {name!r}: {current.version} is its first release, and nothing is known to have been served "
                "before it; release another bundle instead"
            )
        return current.earlier[0]
    for pointer in current.earlier:
        if pointer.version == version:
            return pointer
    known = ", ".join(pointer.version for pointer in current.earlier) or "none"
    raise ReleaseError(
        f"model {name!r}: saw {version!r}, expected a version served before {current.version}: {known}; another one "
        f"must pass the gates: `lastclick release {name} {version}`"
    )


def _release(
    pointer: Pointer, metrics: dict[str, float], by: str, reason: str, earlier: tuple[Pointer, ...]
) -> Release:
    return Release(
        version=pointer.version,
        location=pointer.location,
        sha256=pointer.sha256,
        metrics=metrics,
        released_at_ms=time.time_ns() // 1_000_000,
        by=by,
        reason=reason,
        earlier=earlier,
    )
