"""Fuzz the loading of model bundles: a folder with damaged files -> a model that loads, or a `BundleError`.

The first byte says which bundle and which file, the second whether the manifest's hashes follow the damage, as they
would if a wrong file had been published; the rest seeds the damage. Graphs stay whole: what ONNX Runtime makes of
damaged bytes is its own, and a hash keeps them from it.
"""

from __future__ import annotations

import atexit
import io
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from scorer.bundle import GOLDEN, MANIFEST, BundleError, Manifest, hash_files
from scorer.recommender import ITEMS, Recommender
from scorer.sentiment import Sentiment
from scorer.text_graph import TOKENISER
from tests.fuzz.bundles import write_recommender, write_sentiment
from tests.fuzz.damage import damage

MAX_BYTES = 256
HOME = Path(tempfile.mkdtemp(prefix="fuzz-bundles-"))
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
Load = Callable[[Path], object]
KINDS: dict[str, tuple[Callable[[Path], None], Load, tuple[str, ...]]] = {
    "recommender": (write_recommender, lambda path: Recommender.load(path, "cpu"), (MANIFEST, ITEMS, GOLDEN)),
    "sentiment": (write_sentiment, lambda path: Sentiment.load(path, "cpu"), (MANIFEST, TOKENISER, GOLDEN)),
}
SOUND: dict[str, dict[str, bytes]] = {}
for _kind, (_write, _load, _names) in KINDS.items():
    (HOME / _kind).mkdir()
    _write(HOME / _kind)
    _load(HOME / _kind)
    SOUND[_kind] = {file.name: file.read_bytes() for file in (HOME / _kind).iterdir()}
PLACES = [(kind, name) for kind, (_, _, names) in KINDS.items() for name in names]
SEEDS = [
    bytes([place, way]) + seed
    for place in range(len(PLACES))
    for way in range(4)
    for seed in (b"", b"1", b"22", b"333")
]
FOUND = [b"\x19\x03\x00\x00A"]  # a text of characters that do not exist


def check(data: bytes) -> None:
    """Load the bundle that the bytes stand for."""
    if len(data) < 2:
        return
    kind, name = PLACES[data[0] % len(PLACES)]
    folder, sound = HOME / kind, SOUND[kind]
    follow, inside = bool(data[1] & 1), bool(data[1] & 2)
    whole = sound[name]
    damaged = damage_member(whole, data[2:]) if inside and name.endswith(".npz") else damage(whole, data[2:])
    (folder / name).write_bytes(damaged)
    if follow and name != MANIFEST:
        manifest = msgspec.json.decode(sound[MANIFEST], type=Manifest)
        (folder / MANIFEST).write_bytes(
            msgspec.json.encode(msgspec.structs.replace(manifest, files=hash_files(folder)))
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            KINDS[kind][1](folder)
        loaded = True
    except BundleError:
        loaded = False
    finally:
        for restored in (name, MANIFEST):
            (folder / restored).write_bytes(sound[restored])
    if name != MANIFEST and not follow:
        assert loaded == (damaged == whole), "a file that does not have its hash was loaded"


def damage_member(archive: bytes, seed: bytes) -> bytes:
    """Damage one array of an ``.npz``, and leave the zip around it whole."""
    with zipfile.ZipFile(io.BytesIO(archive)) as source:
        members = {name: source.read(name) for name in source.namelist()}
    chosen = sorted(members)[(seed[0] if seed else 0) % len(members)]
    members[chosen] = damage(members[chosen], seed)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as written:
        for name, content in members.items():
            written.writestr(name, content)
    return target.getvalue()
