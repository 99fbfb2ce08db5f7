from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from scorer.bundle import MANIFEST, BundleError
from streams.releases import (
    MOST_EARLIER,
    Pointer,
    Release,
    ReleaseError,
    decode_release,
    find_bundle,
    find_earlier,
    next_release,
    point_to,
    release_back,
)
from tests.streams.bundles import publish, sha256


def pointer(version: str) -> Pointer:
    return Pointer(version, f"recommender/{version}", f"sha of {version}")


def released(*versions: str) -> Release:
    """What is on the topic after these releases, one after the other."""
    release = next_release(pointer(versions[0]), None, {}, "anna")
    for version in versions[1:]:
        release = next_release(pointer(version), release, {}, "anna")
    return release


def test_release_carries_what_the_contract_says_and_reads_back() -> None:
    release = next_release(pointer("v1"), None, {"ndcg": 0.5}, "anna on shop-1")

    document = msgspec.json.decode(msgspec.json.encode(release))
    assert {"version", "location", "sha256", "metrics", "released_at_ms", "by"} <= document.keys()
    assert decode_release("recommender", msgspec.json.encode(document | {"unknown": 1})) == release


@pytest.mark.parametrize("value", [b"", b"{}", b"[1]", b'{"version": 3}', b"\xff", b"[" * 100_000])
def test_what_is_no_release_is_refused(value: bytes) -> None:
    with pytest.raises(ReleaseError, match="release of 'recommender'"):
        decode_release("recommender", value)


def test_release_remembers_what_was_served_before_newest_first() -> None:
    assert [each.version for each in released("v1", "v2", "v3").candidates] == ["v3", "v2", "v1"]
    assert next_release(pointer("v2"), pointer("v1"), {}, "anna").earlier == (pointer("v1"),)
    assert len(released(*(f"v{number}" for number in range(30))).earlier) == MOST_EARLIER


def test_version_that_is_released_again_is_not_what_it_goes_back_to() -> None:
    assert [each.version for each in released("v1", "v2", "v1").candidates] == ["v1", "v2"]


def test_going_back_again_and_again_never_returns_to_what_failed() -> None:
    current = released("v1", "v2", "v3")

    current = release_back(current, find_earlier("recommender", current, None), {}, "anna", "bad")
    assert (current.version, [each.version for each in current.earlier]) == ("v2", ["v1"])
    current = release_back(current, find_earlier("recommender", current, None), {}, "anna", "bad")
    assert (current.version, current.earlier) == ("v1", ())
    with pytest.raises(ReleaseError, match="v1 is its first release"):
        find_earlier("recommender", current, None)


def test_going_back_by_name_needs_a_version_that_was_served() -> None:
    current = released("v1", "v2", "v3")

    assert find_earlier("recommender", current, "v1") == pointer("v1")
    assert release_back(current, pointer("v1"), {}, "anna", "bad").earlier == ()
    with pytest.raises(ReleaseError, match="expected a version served before v3: v2, v1; another one must pass"):
        find_earlier("recommender", current, "v9")
    with pytest.raises(ReleaseError, match="saw no release on the topic"):
        find_earlier("recommender", None, None)


def test_bundle_is_found_where_it_was_published(tmp_path: Path) -> None:
    folder = publish(tmp_path, "recommender", "v1")

    made = point_to(folder)

    assert made == Pointer("v1", "recommender/v1", sha256(folder))
    assert find_bundle(tmp_path, "recommender", made) == folder


@pytest.mark.parametrize("location", ["/etc", "../recommender/v1", "recommender/../../v1"])
def test_location_outside_the_models_is_refused(tmp_path: Path, location: str) -> None:
    folder = publish(tmp_path / "models", "recommender", "v1")
    made = msgspec.structs.replace(point_to(folder), location=location)

    with pytest.raises(BundleError, match="expected a folder below that of the models"):
        find_bundle(tmp_path / "models", "recommender", made)


def test_manifest_that_changed_since_the_release_is_refused(tmp_path: Path) -> None:
    folder = publish(tmp_path, "recommender", "v1")
    made = point_to(folder)
    (folder / MANIFEST).write_text((folder / MANIFEST).read_text() + " ")

    with pytest.raises(BundleError, match="sha256 of its manifest"):
        find_bundle(tmp_path, "recommender", made)


def test_bundle_of_another_model_is_refused(tmp_path: Path) -> None:
    made = point_to(publish(tmp_path, "sentiment", "v1"))

    with pytest.raises(BundleError, match="saw sentiment v1, expected recommender v1"):
        find_bundle(tmp_path, "recommender", made)


def test_bundle_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="cannot read its manifest"):
        find_bundle(tmp_path, "recommender", pointer("v1"))
