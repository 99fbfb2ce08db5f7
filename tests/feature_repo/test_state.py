"""The user's state: every event once, the same bytes for every order of arrival, and bounded."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feature_repo import counts, ledger, state
from feature_repo.counts import MAX_LINE
from feature_repo.events import Cart, Click, Impression, Review
from feature_repo.history import ACTIONS, CART_LOG_LIMIT, HISTORY_LIMIT, MOODS_LIMIT
from feature_repo.ledger import hash_event_id
from feature_repo.state import (
    Outcome,
    Position,
    StateDamagedError,
    StateError,
    StateVersionError,
    UserState,
    bought,
    decode_state,
    encode_state,
    in_cart,
    update,
)
from tests.feature_repo.shoppers import (
    DAY_MS,
    HOUR_MS,
    NOW_MS,
    Arrival,
    apply,
    arrivals,
    cart,
    click,
    impression,
    make_arrival,
    review,
    state_of,
)


@pytest.fixture(scope="class")
def _small_limits() -> Iterator[None]:
    """Bounds that a handful of events reach."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger, "LEDGER_LIMIT", 8)
        patch.setattr(state, "HISTORY_LIMIT", 5)
        patch.setattr(state, "CART_LOG_LIMIT", 4)
        patch.setattr(state, "MOODS_LIMIT", 2)
        patch.setattr(counts, "HOURS_KEPT", 6)
        patch.setattr(counts, "DAYS_KEPT", 4)
        yield


def with_repeats(drawn: list[Arrival], limit: int, choice: random.Random) -> list[Arrival]:
    """Send some events again, as producers do; only those whose ids a ledger of `limit` still knows at the end."""

    def age(arrival: Arrival) -> tuple[int, bytes]:
        event = arrival.event
        return event.occurred_at_ms, hash_event_id(type(event).__name__, event.event_id)

    known = sorted(drawn, key=age)[-limit:]
    return drawn + [arrival for arrival in known for _ in range(choice.randint(0, 2))]


@pytest.mark.usefixtures("_small_limits")
class TestAnyOrder:
    @given(drawn=arrivals(), seed=st.integers(0, 2**32))
    @settings(max_examples=200)
    def test_state_is_the_same_bytes_for_every_order_of_arrival(self, drawn: list[Arrival], seed: int) -> None:
        choice = random.Random(seed)
        sent = with_repeats(drawn, ledger.LEDGER_LIMIT, choice)
        expected = encode_state(state_of(sent))
        for _ in range(3):
            choice.shuffle(sent)
            assert encode_state(state_of(sent)) == expected

    @given(drawn=arrivals(), seed=st.integers(0, 2**32))
    def test_stops_and_reloads_change_nothing(self, drawn: list[Arrival], seed: int) -> None:
        choice = random.Random(seed)
        reloaded, offset = UserState(), Counter[str]()
        for arrival in drawn:
            update(reloaded, arrival.event, Position(arrival.topic, 3, offset[arrival.topic]), arrival.sentiment)
            offset[arrival.topic] += 1
            if choice.random() < 0.5:
                reloaded = decode_state(encode_state(reloaded))
        assert encode_state(reloaded) == encode_state(state_of(drawn))

    @given(drawn=arrivals(), rewind=st.integers(0, 40))
    def test_replay_by_offset_changes_nothing(self, drawn: list[Arrival], rewind: int) -> None:
        replayed = UserState()
        delivered = apply(replayed, drawn)
        before = encode_state(replayed)
        for arrival, position in delivered[-rewind:]:
            assert update(replayed, arrival.event, position, arrival.sentiment) is Outcome.DUPLICATE
        assert encode_state(replayed) == before

    @given(drawn=arrivals())
    def test_what_is_left_out_of_bounded_parts_is_the_oldest(self, drawn: list[Arrival]) -> None:
        user = state_of(drawn)
        interactions = sorted(
            arrival.event.occurred_at_ms
            for arrival in drawn
            if not isinstance(arrival.event, Impression)
            and not (isinstance(arrival.event, Cart) and arrival.event.quantity < 0)
        )
        assert [entry.ms for entry in user.history] == interactions[-5:]
        carts = sorted(a.event.occurred_at_ms for a in drawn if isinstance(a.event, Cart))
        assert [entry.ms for entry in user.cart_log] == carts[-4:]
        assert len(user.ledger) == ledger.RECORD_BYTES * min(8, len(drawn))


def a_busy_year(count: int, seed: int) -> list[Arrival]:
    choice = random.Random(seed)
    return [
        make_arrival(number, choice.randrange(7), int(choice.expovariate(1 / (20 * DAY_MS))), choice)
        for number in range(count)
    ]


def test_a_busy_user_is_the_same_in_every_order_with_the_real_bounds() -> None:
    choice = random.Random(5)
    sent = with_repeats(a_busy_year(1500, seed=4), ledger.LEDGER_LIMIT, choice)
    expected = state_of(sent)
    assert (len(expected.history), len(expected.cart_log), len(expected.moods)) == (64, 256, 8)
    assert (HISTORY_LIMIT, CART_LOG_LIMIT, MOODS_LIMIT) == (64, 256, 8)
    for _ in range(2):
        choice.shuffle(sent)
        assert encode_state(state_of(sent)) == encode_state(expected)


def test_counts_equal_a_recompute_from_the_whole_log() -> None:
    sent = a_busy_year(800, seed=7)
    user = state_of(sent)
    events = [arrival.event for arrival in sent]
    newest_ms = max(event.occurred_at_ms for event in events)
    for buckets, length_ms, kept in ((user.hourly, HOUR_MS, 48), (user.daily, DAY_MS, 90)):
        recent = [e for e in events if e.occurred_at_ms // length_ms > newest_ms // length_ms - kept]
        assert [counts.index for counts in buckets] == sorted({e.occurred_at_ms // length_ms for e in recent})
        assert_counts(buckets, recent)
    assert_counts([user.totals], events)
    carts = [event for event in events if isinstance(event, Cart)]
    assert user.totals.units == sum(event.quantity for event in carts if event.action == "purchase")
    assert user.first_ms == min(event.occurred_at_ms for event in events)
    assert user.newest_ms == newest_ms
    assert user.last_click_ms == max(e.occurred_at_ms for e in events if isinstance(e, Click))
    assert user.last_add_ms == max(e.occurred_at_ms for e in carts if e.action == "add")
    assert user.last_purchase_ms == max(e.occurred_at_ms for e in carts if e.action == "purchase" and e.quantity > 0)


def assert_counts(counted: list[counts.Counts] | list[counts.Totals], events: list[object]) -> None:
    carts = [event for event in events if isinstance(event, Cart)]
    actions = Counter("return" if event.quantity < 0 else event.action for event in carts)
    lines = [
        max(-MAX_LINE, min(MAX_LINE, round(e.quantity * e.unit_price * 10_000)))
        for e in carts
        if e.action == "purchase"
    ]
    assert sum(c.clicks for c in counted) == sum(isinstance(e, Click) for e in events)
    assert sum(c.reviews for c in counted) == sum(isinstance(e, Review) for e in events)
    assert sum(c.impressions for c in counted) == sum(isinstance(e, Impression) for e in events)
    assert sum(c.adds for c in counted) == actions["add"]
    assert sum(c.removes for c in counted) == actions["remove"]
    assert sum(c.purchases for c in counted) == actions["purchase"]
    assert sum(c.returns for c in counted) == actions["return"]
    assert sum(c.spend for c in counted) == sum(lines)


def test_new_user_survives_encoding() -> None:
    assert decode_state(encode_state(UserState())) == UserState()


def test_repeated_event_counts_once_and_its_offset_is_noted() -> None:
    user = UserState()
    assert update(user, click("e1", NOW_MS), Position("clicks", 0, 7)) is Outcome.APPLIED
    assert update(user, click("e1", NOW_MS), Position("clicks", 0, 8)) is Outcome.DUPLICATE
    assert user.totals.clicks == 1
    assert user.logical_clock() == 9
    assert update(user, click("e2", NOW_MS), Position("clicks", 0, 8)) is Outcome.DUPLICATE
    assert update(user, click("e2", NOW_MS), Position("clicks", 0, 9)) is Outcome.APPLIED


def test_without_positions_only_ids_tell_repeats_apart() -> None:
    user = UserState()
    assert update(user, click("e1", NOW_MS), None) is Outcome.APPLIED
    assert update(user, click("e1", NOW_MS), None) is Outcome.DUPLICATE
    assert update(user, click("e2", NOW_MS), None) is Outcome.APPLIED
    assert user.logical_clock() == 0


def test_equal_ids_on_two_topics_are_two_events() -> None:
    user = UserState()
    assert update(user, click("1", NOW_MS), Position("clicks", 0, 0)) is Outcome.APPLIED
    assert update(user, impression("1", NOW_MS), Position("impressions", 0, 0)) is Outcome.APPLIED


def test_topics_and_partitions_have_offsets_of_their_own_and_the_clock_never_goes_back() -> None:
    user = UserState()
    clock = 0
    for number, (topic, partition, offset) in enumerate(
        [("clicks", 0, 5), ("carts", 0, 5), ("clicks", 1, 0), ("clicks", 0, 6), ("clicks", 1, 1)]
    ):
        event = click(str(number), NOW_MS) if topic == "clicks" else cart(str(number), NOW_MS, "add")
        assert update(user, event, Position(topic, partition, offset)) is Outcome.APPLIED
        assert user.logical_clock() > clock
        clock = user.logical_clock()


def test_event_older_than_every_horizon_still_counts_in_totals() -> None:
    user = state_of([Arrival("clicks", click("new", NOW_MS), None)])
    update(user, cart("old", NOW_MS - 4000 * DAY_MS, "purchase", 2, unit_price=10.0), None)
    assert (user.totals.purchases, user.totals.units, user.totals.spend) == (1, 2, 200_000)
    assert sum(c.purchases for c in user.daily + user.hourly) == 0
    assert user.newest_event_id == "new"


def test_newest_event_of_one_millisecond_is_the_last_by_id() -> None:
    for order in (("a", "b"), ("b", "a")):
        user = UserState()
        for event_id in order:
            update(user, impression(event_id, NOW_MS), None)
        assert (user.newest_ms, user.newest_event_id) == (NOW_MS, "b")


def test_history_holds_interactions_but_neither_impressions_nor_returns() -> None:
    user = UserState()
    update(user, click("1", NOW_MS), None)
    update(user, impression("2", NOW_MS + 1), None)
    update(user, cart("3", NOW_MS + 2, "add", 2, unit_price=4.995), None)
    update(user, cart("4", NOW_MS + 3, "purchase", -1), None)
    update(user, review("5", NOW_MS + 4), None)
    assert [(ACTIONS[e.action], e.item_id, e.price_milli, e.quantity) for e in user.history] == [
        ("click", "mug", -1, 1),
        ("add", "mug", 4995, 2),
        ("review", "mug", -1, 1),
    ]


def cart_after(*steps: tuple[str, int]) -> UserState:
    user = UserState()
    for number, (action, quantity) in enumerate(steps):
        update(user, cart(str(number), NOW_MS + number, action, quantity), None)
    return user


@pytest.mark.parametrize(
    ("steps", "units", "is_bought"),
    [
        ([("add", 2)], 2, False),
        ([("add", 2), ("remove", 1)], 1, False),
        ([("add", 2), ("remove", 5), ("add", 1)], 1, False),
        ([("remove", 1)], 0, False),
        ([("add", 2), ("purchase", 1)], 0, True),
        ([("purchase", 1)], 0, True),
        ([("purchase", 2), ("purchase", -1)], 0, True),
        ([("purchase", 2), ("purchase", -2)], 0, False),
        ([("purchase", 1), ("purchase", -1), ("purchase", 1)], 0, True),
        ([("purchase", 1), ("add", 1), ("purchase", -1)], 1, False),
    ],
)
def test_cart_and_bought_items(steps: list[tuple[str, int]], units: int, is_bought: bool) -> None:
    user = cart_after(*steps)
    assert user.cart.units == ({"mug": units} if units else {})
    assert in_cart(user) == ({"mug"} if units else set())
    assert bought(user) == ({"mug"} if is_bought else set())


def test_cart_follows_a_late_event_into_its_place() -> None:
    user = cart_after(("add", 1), ("purchase", 1))
    assert in_cart(user) == set()
    update(user, cart("late", NOW_MS - 1, "add", 3), None)
    assert in_cart(user) == set()
    update(user, cart("new", NOW_MS + 9, "add", 3), None)
    assert in_cart(user) == {"mug"}


def test_mood_is_the_texts_and_the_stars_where_the_text_has_none() -> None:
    user = UserState()
    update(user, review("1", NOW_MS, stars=1), None, sentiment=0.25)
    update(user, review("2", NOW_MS + 1, stars=1), None)
    update(user, review("3", NOW_MS + 2), None)
    update(user, review("4", NOW_MS + 3), None, sentiment=7.0)
    assert [mood.score_milli for mood in user.moods] == [250, -1000, 1000]
    totals = user.totals
    assert (totals.reviews, totals.stars_sum, totals.stars_count) == (4, 2, 2)
    assert (totals.score_milli_sum, totals.score_count) == (250, 3)


def test_absurd_amounts_still_encode() -> None:
    user = UserState()
    for number in range(100):
        update(user, cart(str(number), NOW_MS, "purchase", 1_000_000, unit_price=1e9), None)
    assert decode_state(encode_state(user)).totals.spend == 100 * MAX_LINE


def test_state_of_another_version_names_both_versions() -> None:
    newer = b"\x07" + encode_state(UserState())[1:]
    with pytest.raises(StateVersionError, match=r"^user state: saw version 7, expected 1; run the release"):
        decode_state(newer)
    with pytest.raises(StateError, match=r"saw version \(no bytes\), expected 1"):
        decode_state(b"")


def test_state_cut_short_says_how_long_it_was() -> None:
    data = encode_state(state_of(a_busy_year(20, seed=1)))
    for length in range(1, len(data), 7):
        with pytest.raises(StateDamagedError, match=rf"saw {length} bytes that do not decode"):
            decode_state(data[:length])


def test_state_of_a_hundred_events_takes_at_most_five_kilobytes() -> None:
    choice = random.Random(3)
    kinds = choice.choices(range(7), (70, 3, 7, 8, 4, 7, 1), k=100)
    sent = [make_arrival(number, kind, choice.randrange(30 * DAY_MS), choice) for number, kind in enumerate(kinds)]
    sent = [
        Arrival(a.topic, msgspec.structs.replace(a.event, event_id=f"{choice.getrandbits(128):032x}"), None)
        for a in sent
    ]
    assert len(encode_state(state_of(sent))) <= 5000
