"""Published bundles of a few bytes, which load as the real ones do."""

from __future__ import annotations

import hashlib
from pathlib import Path

from scorer.bundle import CURRENT, MANIFEST, read_manifest
from tests.fuzz.bundles import write_aspects, write_recommender, write_sentiment


def publish(models: Path, name: str, version: str) -> Path:
    """Publish a bundle under a version of choice, and make it the newest."""
    folder = models / name / version
    folder.mkdir(parents=True)
    {"recommender": write_recommender, "sentiment": write_sentiment, "aspects": write_aspects}[name](folder)
    written = read_manifest(folder).version
    manifest = folder / MANIFEST
    manifest.write_text(manifest.read_text().replace(written, version))
    (folder.parent / CURRENT).write_text(version)
    return folder


def sha256(folder: Path) -> str:
    return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()
