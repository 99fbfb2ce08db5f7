from __future__ import annotations

from collections import Counter

import pytest

from tests.planted import PlantedSource
from training.dataset import Dataset, read_dataset
from training.user_sample import UserSample

USERS = 400


def users_of(source: UserSample | PlantedSource) -> set[str]:
    return {event.user_id for _, event in source.events()}


def test_users_are_drawn_whole_and_all_items_are_kept() -> None:
    whole = PlantedSource(users=USERS, visits=3)
    sample = UserSample(whole, 0.25)
    drawn = users_of(sample)
    assert len(drawn) == pytest.approx(USERS / 4, rel=0.3)
    assert list(sample.events()) == [pair for pair in whole.events() if pair[1].user_id in drawn]
    assert list(sample.items()) == list(whole.items())
    assert (sample.name, sample.count()) == ("planted", None)


def test_larger_share_holds_the_users_of_a_smaller_one() -> None:
    whole = PlantedSource(users=USERS, visits=1)
    drawn = [users_of(UserSample(whole, share)) for share in (0.1, 0.5, 1.0)]
    assert drawn[0] < drawn[1] < drawn[2] == users_of(whole)


def rows_of(dataset: Dataset) -> Counter[bytes]:
    ids, examples = dataset.interactions.user_ids, dataset.examples
    return Counter(
        ids[user].encode() + row.tobytes() for user, row in zip(examples.user, examples.features, strict=True)
    )


def test_examples_of_a_sampled_user_are_those_of_the_whole_log() -> None:
    whole = PlantedSource(users=20, visits=3)
    sampled, everyone = (read_dataset(log, max_examples=10_000) for log in (UserSample(whole, 0.5), whole))
    assert 0 < len(sampled.interactions.user_ids) < 20
    assert rows_of(sampled) <= rows_of(everyone)


def test_rows_that_became_no_event_are_those_of_the_source() -> None:
    whole = PlantedSource(users=2, visits=1)
    whole.skipped["no user"] = 3
    assert UserSample(whole, 0.5).skipped == {"no user": 3}
