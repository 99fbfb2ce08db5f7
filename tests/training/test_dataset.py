from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
import pytest

from feature_repo.events import Cart, Click, Event, Impression, Item
from feature_repo.features import features
from feature_repo.state import ACTIONS, UserState, update
from tests.planted import PlantedSource
from training.dataset import DAY_MS, Catalogue, DataError, Dataset, read_dataset

START_MS = 1_700_000_000_000
HOUR_MS = 3_600_000


class Log:
    """The given events, of a catalogue of three items."""

    name = "log"

    def __init__(self, events: Sequence[Event]) -> None:
        self.skipped: Counter[str] = Counter()
        self._events = events

    def items(self) -> Iterator[Item]:
        for name in ("mug", "lamp", "vase"):
            yield Item(item_id=name, title=name, in_stock=True, published_at_ms=1)

    def events(self) -> Iterator[tuple[str, Event]]:
        for event in self._events:
            yield "any", event

    def count(self) -> int:
        return len(self._events)


def click(number: int, hours: float, item_id: str = "mug", user_id: str = "u") -> Click:
    return Click(f"c{number}", user_id, item_id, START_MS + int(hours * HOUR_MS))


def purchase(number: int, hours: float, item_id: str = "mug", quantity: int = 1) -> Cart:
    return Cart(f"p{number}", "u", item_id, "purchase", quantity, 2.0, START_MS + int(hours * HOUR_MS))


def labels_by_hour(dataset: Dataset) -> dict[float, bool]:
    hours = (dataset.examples.now_ms - START_MS) / HOUR_MS
    return dict(zip(hours.tolist(), dataset.examples.bought.tolist(), strict=True))


def test_label_is_a_purchase_strictly_after_and_within_a_day() -> None:
    dataset = read_dataset(Log([click(1, 0), click(2, 1), purchase(1, 25), click(3, 26)]))
    assert labels_by_hour(dataset) == {0.0: False, 1.0: True, 25.0: False, 26.0: False}


def test_returned_item_is_no_purchase() -> None:
    dataset = read_dataset(Log([click(1, 0), purchase(1, 1, quantity=-1)]))
    assert labels_by_hour(dataset) == {0.0: False, 1.0: False}
    assert dataset.interactions.action.tolist() == [ACTIONS.index("click") + 1]


def test_examples_carry_the_served_features() -> None:
    source = PlantedSource(users=5, visits=4)
    dataset = read_dataset(source)
    catalogue = Catalogue(source.items())
    states: dict[str, UserState] = {}
    expected = {}
    for _, event in source.events():
        state = states.setdefault(event.user_id, UserState())
        update(state, event, None)
        expected[event.user_id, state.newest_ms] = features(state, state.newest_ms, catalogue).numbers
    assert len(expected) == len(dataset.examples.user)
    for place, user in enumerate(dataset.examples.user):
        key = dataset.interactions.user_ids[user], int(dataset.examples.now_ms[place])
        np.testing.assert_array_equal(dataset.examples.features[place], expected[key])


def test_lines_of_one_moment_make_one_example_after_all_of_them() -> None:
    dataset = read_dataset(Log([purchase(1, 0, "mug"), purchase(2, 0, "lamp"), purchase(3, 0, "vase")]))
    assert dataset.examples.end.tolist() == [3]
    assert sorted(dataset.interactions.rows.tolist()) == [1, 2, 3]


def test_history_of_an_example_ends_at_its_moment() -> None:
    dataset = read_dataset(Log([click(1, 0), click(2, 1), click(3, 1, user_id="v"), click(4, 2)]))
    interactions, examples = dataset.interactions, dataset.examples
    for user, end, now_ms in zip(examples.user, examples.end, examples.now_ms, strict=True):
        assert interactions.ms[end - 1] == now_ms
        assert interactions.starts[user] < end <= interactions.starts[user + 1]


def test_repeated_event_counts_once() -> None:
    assert len(read_dataset(Log([click(1, 0), click(1, 0), click(2, 1)])).interactions.rows) == 2


def test_invoice_longer_than_the_history_is_kept_whole() -> None:
    lines = [purchase(number, 0, item_id=f"item {number}") for number in range(100)]
    assert len(read_dataset(Log(lines)).interactions.rows) == 100


def test_item_that_the_catalogue_lacks_has_row_zero() -> None:
    assert read_dataset(Log([click(1, 0, "gone"), click(2, 1, "lamp")])).interactions.rows.tolist() == [0, 2]


def test_about_as_many_examples_as_asked_are_drawn() -> None:
    dataset = read_dataset(PlantedSource(), max_examples=300)
    assert 200 < len(dataset.examples.user) < 400


def test_source_that_cannot_count_its_events_is_drawn_from_evenly() -> None:
    class Uncounted(PlantedSource):
        def count(self) -> int | None:  # type: ignore[override]  # the base knows its events
            return None

    dataset = read_dataset(Uncounted(), max_examples=400)
    assert 150 < len(dataset.examples.user) <= 420
    middle_ms = (dataset.first_ms + dataset.last_ms) / 2
    assert 0.35 < (dataset.examples.now_ms < middle_ms).mean() < 0.65


def test_same_seed_draws_the_same_examples() -> None:
    first, second = (read_dataset(PlantedSource(), max_examples=100, seed=3) for _ in range(2))
    np.testing.assert_array_equal(first.examples.now_ms, second.examples.now_ms)


def test_log_without_interactions_is_refused() -> None:
    shown = Impression("i", "u", "list", ("mug",), START_MS)
    with pytest.raises(DataError, match="source 'log': saw no interaction in its log, expected at least one"):
        read_dataset(Log([shown]))


def test_times_span_the_log() -> None:
    dataset = read_dataset(Log([click(1, 0), click(2, 30)]))
    assert (dataset.first_ms, dataset.last_ms) == (START_MS, START_MS + DAY_MS + 6 * HOUR_MS)
