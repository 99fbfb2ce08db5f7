"""What a list should have held: for every moment of a user, the items that came next.

In: interactions. Out: occasions, and the target items of each. An occasion is all that a user did at one
millisecond: one click, or all lines of an invoice, whose order says nothing. Its targets are the items of the
user's next occasion that a list could have shown: clicked, added or bought, not bought before, and not the
item being looked at. Where the next occasion has none, the one after it counts, and so on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from feature_repo.state import ACTIONS
from training.dataset import Interactions

# Occasions looked through for a target; a visit has fewer.
LOOKED_THROUGH = 20

_WANTED = [ACTIONS.index(action) + 1 for action in ("click", "add", "purchase")]
_PURCHASE = ACTIONS.index("purchase") + 1


@dataclass(frozen=True)
class Occasions:
    """O occasions, sorted as the interactions are.

    Parameters
    ----------
    user
        int64 [O], place of the user.
    start, end
        int64 [O], span of the occasion in the flat interactions.
    ms
        int64 [O], when it was.
    target_ms
        int64 [O], when its targets came; -1 for an occasion without targets.
    target_starts
        int64 [O + 1], where its targets start in `targets`.
    targets
        int64, rows of the target items, each once an occasion.
    """

    user: NDArray[np.int64]
    start: NDArray[np.int64]
    end: NDArray[np.int64]
    ms: NDArray[np.int64]
    target_ms: NDArray[np.int64]
    target_starts: NDArray[np.int64]
    targets: NDArray[np.int64]

    def targets_of(self, occasion: int) -> NDArray[np.int64]:
        """Rows of the target items of one occasion."""
        return self.targets[self.target_starts[occasion] : self.target_starts[occasion + 1]]


def find_occasions(interactions: Interactions) -> Occasions:
    """Split interactions into occasions and find the targets of each."""
    owner = np.repeat(np.arange(len(interactions.user_ids)), np.diff(interactions.starts))
    opens = np.ones(len(interactions.ms), dtype=bool)
    opens[1:] = (np.diff(interactions.ms) != 0) | (np.diff(owner) != 0)
    start = np.flatnonzero(opens).astype(np.int64)
    end = np.append(start[1:], len(interactions.ms)).astype(np.int64)
    user, ms = owner[start].astype(np.int64), interactions.ms[start]
    target_ms = np.full(len(start), -1, dtype=np.int64)
    targets: list[list[int]] = [[] for _ in start]
    for of_user in np.split(np.arange(len(start)), np.flatnonzero(np.diff(user)) + 1):
        for occasion, following, found in _targets_of_user(interactions, start, end, of_user):
            target_ms[occasion] = ms[following]
            targets[occasion] = found
    lengths = [len(found) for found in targets]
    return Occasions(
        user=user,
        start=start,
        end=end,
        ms=ms,
        target_ms=target_ms,
        target_starts=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        targets=np.array([row for found in targets for row in found], dtype=np.int64),
    )


def draw_targets(
    place: NDArray[np.int64],
    interactions: Interactions,
    occasions: Occasions,
    until_ms: int,
    together: float,
    random: np.random.Generator,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw one target for each interaction of a batch.

    Parameters
    ----------
    place
        int64 [B, L], places in the flat interactions, all before `until_ms`; -1 for padding.
    together
        Share of targets taken from later lines of the same occasion, where there are any.

    Returns
    -------
    tuple
        Rows int64 [B, L], 0 where there is no target before `until_ms`, and their age at `until_ms` in ms.
    """
    inside = place >= 0
    safe = np.where(inside, place, 0)
    occasion = np.searchsorted(occasions.start, safe, side="right") - 1
    counts = np.diff(occasions.target_starts) * (occasions.target_ms < until_ms)
    available = np.where(inside, counts[occasion], 0)
    drawn = occasions.target_starts[occasion] + (random.random(place.shape) * available).astype(np.int64)
    rows = np.where(available > 0, np.append(occasions.targets, 0)[drawn], 0)
    ms = np.where(available > 0, occasions.target_ms[occasion], until_ms)
    rest = np.where(inside, occasions.end[occasion] - 1 - safe, 0)
    beside = (rest > 0) & (random.random(place.shape) < together)
    mate = safe + beside * (1 + (random.random(place.shape) * rest).astype(np.int64))
    rows = np.where(beside, interactions.rows[mate], rows)
    ms = np.where(beside, occasions.ms[occasion], ms)
    return rows, until_ms - ms


def _targets_of_user(
    interactions: Interactions, start: NDArray[np.int64], end: NDArray[np.int64], of_user: NDArray[np.int64]
) -> Iterator[tuple[int, int, list[int]]]:
    """Yield (occasion, the one its targets are from, rows) for the user's occasions that have targets."""
    wanted: list[set[int]] = []
    purchased: list[set[int]] = []
    for first, last in zip(start[of_user], end[of_user], strict=True):
        rows, action = interactions.rows[first:last], interactions.action[first:last]
        wanted.append(set(rows[np.isin(action, _WANTED) & (rows > 0)].tolist()))
        purchased.append(set(rows[action == _PURCHASE].tolist()))
    bought: set[int] = set()
    for place, occasion in enumerate(of_user):
        bought |= purchased[place]
        current = int(interactions.rows[end[occasion] - 1])
        for later in range(place + 1, min(place + 1 + LOOKED_THROUGH, len(of_user))):
            found = sorted(row for row in wanted[later] if row != current and row not in bought)
            if found:
                yield int(occasion), int(of_user[later]), found
                break
