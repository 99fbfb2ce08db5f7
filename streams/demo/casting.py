"""Events to come in; the shopper whose next steps show most out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable

from feature_repo.events import Cart, Event

MOST_STEPS = 20
"""Steps after which another shopper is followed."""
FEWEST_STEPS = 6

WEIGHTS = {"reviews": 4, "purchase": 3, "add": 2, "remove": 1}
"""What is worth seeing, once each; clicks everybody has."""


def cast(ahead: Iterable[tuple[str, Event]], seen: Collection[str]) -> str | None:
    """Choose a shopper to follow: some clicks, and best of all a purchase and a review.

    Parameters
    ----------
    ahead
        Events to come, as (topic, event), in order.
    seen
        Shoppers who were followed before.

    Returns
    -------
    str or None
        A user_id; of equally good ones, who comes first. None when nobody has enough to show.
    """
    steps: dict[str, list[str]] = {}
    for topic, event in ahead:
        kinds = steps.setdefault(event.user_id, [])
        if len(kinds) < MOST_STEPS:
            kinds.append(event.action if isinstance(event, Cart) else topic)
    best, best_worth = None, 0
    for user_id, kinds in steps.items():
        if user_id not in seen and len(kinds) >= FEWEST_STEPS and (found := worth(kinds)) > best_worth:
            best, best_worth = user_id, found
    return best


def worth(kinds: list[str]) -> int:
    """How much there is to see in steps of these kinds."""
    counts = Counter(kinds)
    shown = sum(weight for kind, weight in WEIGHTS.items() if counts[kind])
    # Without clicks before it, a review would change a list that nobody has seen.
    return shown + 1 if counts["clicks"] >= FEWEST_STEPS // 2 else 0
