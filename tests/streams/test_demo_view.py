from __future__ import annotations

from collections import Counter

import pytest
from rich.console import Console

from feature_repo.events import Cart, Click, Event, Review
from streams.demo.checks import Check
from streams.demo.frame import Followed, Frame, WorkerLine, sparkline
from streams.demo.histogram import Histogram
from streams.demo.plain import PlainLines
from streams.demo.readings import Reading
from streams.demo.story import Sentiment, Step, Story
from streams.demo.summary import summary, verdict
from streams.demo.view import screen
from streams.store import RecommendedItem

TITLES = {f"p{number}": f"Product {number}" for number in range(40)}
FRESH = Histogram((0.05, 0.2, float("inf")), (90, 99, 100))
SLOW = Histogram((0.5, 2.0, float("inf")), (0, 100, 100))


def items(*numbers: int) -> tuple[RecommendedItem, ...]:
    return tuple(RecommendedItem(f"p{number}", 1.0, f"because you looked at {number}") for number in numbers)


def told(story: Story) -> Followed:
    user_id, steps, propensities = story.snapshot()
    return Followed(user_id, tuple(steps), tuple(propensities))


@pytest.fixture
def story() -> Story:
    """A shopper who clicked and wrote a review, whose list changed with the first."""
    story = Story()
    story.begin("u1", items(1, 2, 3))
    story.sent("clicks", Click("e1", "u1", "p4", 1), at_s=10.0)
    story.scored("e1", 0.25)
    story.listed("e1", items(3, 1, 5), at_s=10.02)
    story.sent("reviews", Review("e2", "u1", "p4", "Lovely, would buy again.", 2), at_s=12.0)
    story.scored("e2", 0.5)
    story.reviewed("e2", Sentiment(0.9, "positive"))
    return story


def frame(followed: Followed, overall: Histogram = FRESH, notes: tuple[str, ...] = ()) -> Frame:
    models = (("recommender", "20260101-000000-abcdef", "CPUExecutionProvider"),)
    reading = Reading(Counter(applied=997, dead_letter=3), 500, 4, 40, overall, models)
    return Frame(
        seed=7,
        elapsed_s=61.0,
        seconds=90.0,
        doing="running",
        shop_ms=1_738_594_560_000,
        sent=1000,
        sent_rates=(190.0, 200.0),
        reading=reading,
        recent=overall,
        overall=overall,
        dead_letters=3,
        last_dead_letter="carts: unit_price: saw nothing",
        triggers=2,
        last_trigger="u9 at 0.61",
        workers=(WorkerLine(4711, True),),
        restarts=0,
        kafka="127.0.0.1:9092",
        cassandra="127.0.0.1:9042",
        page="http://127.0.0.1:8800/shop",
        followed=followed,
        title=lambda item_id: TITLES.get(item_id, item_id),
        notes=notes,
    )


def drawn(shown: Frame, width: int, height: int) -> list[str]:
    console = Console(width=width, height=height, record=True, quiet=False, file=None, force_terminal=False)
    with console.capture() as captured:
        console.print(screen(shown, console))
    return captured.get().splitlines()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (140, 45)])
def test_screen_fits_the_terminal_and_says_that_the_shop_is_simulated(story: Story, width: int, height: int) -> None:
    lines = drawn(frame(told(story)), width, height)
    assert len(lines) == height
    assert max(map(len, lines)) <= width
    assert "simulated shop" in lines[0]


def test_screen_shows_the_list_before_and_after(story: Story) -> None:
    text = "\n".join(drawn(frame(told(story)), 140, 45))
    assert "▲2  Product 3" in text
    assert "▼1  Product 1" in text
    assert "new Product 5" in text
    assert "− Product 2" in text
    assert "+1 −1 ↕2" in text
    assert "positive +0.90 “Lovely, would buy again.”" in text
    assert "0.50 (+0.25)" in text
    assert "list in 20 ms: 1 new, 2 moved" in text


def test_screen_without_a_shopper_or_models_yet_is_drawn() -> None:
    assert "worth following" in "\n".join(drawn(frame(Followed("", (), ()), Histogram()), 100, 30))


def test_story_ignores_what_belongs_to_a_shopper_followed_before(story: Story) -> None:
    story.begin("u2", ())
    story.sent("clicks", Click("e3", "u1", "p4", 3), at_s=14.0)
    story.listed("e1", items(9), at_s=14.0)
    story.scored("e1", 0.9)
    assert story.snapshot() == ("u2", [], [])


def test_plain_lines_tell_each_step_once(story: Story) -> None:
    lines = PlainLines()
    first = list(lines.lines(frame(told(story))))
    assert "1,000 events sent" in first[0]
    assert any("u1 clicked Product 4: propensity 0.25" in line for line in first)
    assert not any("reviewed" in line for line in first)
    story.listed("e2", items(1), at_s=12.1)
    second = list(lines.lines(frame(told(story))))
    assert len(second) == 2
    assert "u1 reviewed Product 4 (positive +0.90)" in second[1]


@pytest.mark.parametrize(
    ("event", "word"),
    [
        (Cart("e", "u", "p1", "add", 1, 1.0, 1), "put in cart"),
        (Cart("e", "u", "p1", "remove", 1, 1.0, 1), "took out"),
        (Cart("e", "u", "p1", "purchase", 1, 1.0, 1), "bought"),
        (Cart("e", "u", "p1", "purchase", -1, 1.0, 1), "returned"),
    ],
)
def test_cart_events_are_told_in_words(event: Event, word: str) -> None:
    step = Step("carts", event, 0.0, (), items(1), 0.1, 0.2)
    assert any(word in line for line in PlainLines().lines(frame(Followed("u", (step,), (0.2,)))))


def test_sparkline_spans_its_scale() -> None:
    assert sparkline((0.0, 0.5, 1.0, 2.0), 1.0) == "▁▅██"
    assert sparkline((0.0, 0.0), 0.0) == "▁▁"


@pytest.mark.parametrize(("overall", "word"), [(FRESH, "met"), (SLOW, "missed")])
def test_slow_lists_are_told_and_fail_nothing(overall: Histogram, word: str) -> None:
    console = Console(width=140)
    with console.capture() as captured:
        console.print(summary([Check("lag", "0", "0", True)], frame(Followed("", (), ()), overall), 200.0))
    assert f": {word}" in captured.get()


def test_failed_check_is_counted_in_the_summary() -> None:
    console = Console(width=140)
    checks = [Check("lag", "0", "0", True), Check("crashes", "0", "1", False)]
    with console.capture() as captured:
        console.print(summary(checks, frame(Followed("", (), ())), 200.0))
    assert "FAILED" in captured.get()
    assert "1 of 2 checks failed" in verdict(checks).plain
    assert verdict(checks[:1]).plain == "All 1 checks hold."
