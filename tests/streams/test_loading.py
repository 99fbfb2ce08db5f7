"""What a worker starts with: released, published or served before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from scorer.bundle import BundleError
from scorer.recommender import GRAPH
from scorer.text_graph import INT8_GRAPH
from streams import loading
from streams.loading import Loaded, ModelsDisagree, load_models
from streams.releases import next_release, point_to
from streams.settings import Settings
from tests.streams.bundles import publish


class Encoder:
    """A text encoder that needs no bundle."""

    weights = "0" * 64

    @classmethod
    def load(cls, path: Path, device: str, threads: int) -> Any:
        return SimpleNamespace(weights_sha256=cls.weights, dim=3, version="text-1")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in ("recommender", "sentiment"):
        for version in ("v1", "v2", "v3"):
            publish(tmp_path / "models", name, version)
    (tmp_path / "models" / "text-encoder" / "t1").mkdir(parents=True)
    (tmp_path / "models" / "text-encoder" / "CURRENT").write_text("t1")
    monkeypatch.setattr(loading, "TextEncoder", Encoder)
    yield tmp_path
    loading.forget_loaded()


def released(home: Path, *versions: str, name: str = "recommender") -> dict[str, bytes]:
    release = None
    for version in versions:
        release = next_release(point_to(home / "models" / name / version), release, {}, "anna")
    return {name: msgspec.json.encode(release)}


def load(home: Path, releases: dict[str, bytes]) -> Loaded:
    return load_models(Settings(home=home, device="cpu"), releases)


def versions(loaded: Loaded) -> tuple[str, str]:
    served = (loaded.recommender.version, loaded.sentiment.version)
    assert served == (loaded.found.pointers["recommender"].version, loaded.found.pointers["sentiment"].version)
    return served


def test_without_a_release_the_newest_published_bundle_is_served(home: Path) -> None:
    loaded = load(home, {})

    assert versions(loaded) == ("v3", "v3")
    assert loaded.found.refused == {}


def test_what_is_released_is_served_whatever_was_published_since(home: Path) -> None:
    loaded = load(home, released(home, "v1") | released(home, "v2", name="sentiment"))

    assert versions(loaded) == ("v1", "v2")


def test_broken_release_falls_back_to_what_was_served_before_and_says_so(home: Path) -> None:
    releases = released(home, "v1", "v2")
    (home / "models" / "recommender" / "v2" / GRAPH).write_bytes(b"")

    loaded = load(home, releases)

    assert versions(loaded) == ("v1", "v3")
    assert list(loaded.found.refused) == [("recommender", releases["recommender"])]
    assert "v2: bundle" in loaded.found.refused["recommender", releases["recommender"]]


def test_release_that_is_none_falls_back_to_what_is_published(home: Path) -> None:
    loaded = load(home, {"recommender": b"by hand"})

    assert versions(loaded) == ("v3", "v3")
    assert ("recommender", b"by hand") in loaded.found.refused


def test_nothing_that_can_be_served_is_an_error(home: Path) -> None:
    releases = released(home, "v1", "v2")
    for version in ("v1", "v2", "v3"):
        (home / "models" / "recommender" / version / GRAPH).write_bytes(b"")

    with pytest.raises(BundleError, match=r"sha256 of recommender\.onnx"):
        load(home, releases)


def test_models_that_do_not_fit_are_an_error(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Encoder, "weights", "1" * 64)

    with pytest.raises(ModelsDisagree, match="publish the encoder it was trained with"):
        load(home, released(home, "v1"))


def test_without_a_published_aspects_model_none_is_served(home: Path) -> None:
    assert load(home, {}).aspects is None


def test_newest_published_aspects_model_is_served(home: Path) -> None:
    for version in ("a1", "a2"):
        publish(home / "models", "aspects", version)

    served = load(home, {}).aspects

    assert served is not None
    assert served.version == "a2"


def test_damaged_aspects_model_is_named_rather_than_left_out(home: Path) -> None:
    folder = publish(home / "models", "aspects", "a1")
    (folder / INT8_GRAPH).write_bytes(b"")

    with pytest.raises(BundleError, match=r"aspects/a1.*sha256"):
        load(home, {})
