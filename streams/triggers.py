"""Triggers: a user's propensity in, a message for marketing out when it has crossed the threshold.

Hysteresis and a cool-down in event time keep a user near the threshold from being written to again and again. What a
trigger remembers is stored in the same row as the user's state, so both are there or neither.
"""

from __future__ import annotations

import hashlib

import msgspec

from feature_repo.state import StateDamagedError

RULE = "propensity"


class TriggerMemory(msgspec.Struct, array_like=True):
    """What the propensity rule remembers of a user.

    ``armed`` until it fires, and again once the propensity has fallen to the re-arm level; ``fired`` counts how
    often it has fired; ``fired_at_ms`` is the event time of the last one.
    """

    armed: bool = True
    fired: int = 0
    fired_at_ms: int = 0


class Trigger(msgspec.Struct, frozen=True):
    """Value of the ``triggers`` topic."""

    trigger_id: str
    user_id: str
    rule: str
    score: float
    reason: str
    arm: str
    caused_by: str
    occurred_at_ms: int


class PropensityRule:
    """Fires when the probability of a purchase within 24 hours reaches ``threshold``."""

    def __init__(self, threshold: float, rearm: float, cooldown_s: int) -> None:
        self._threshold = threshold
        self._rearm = rearm
        self._cooldown_ms = cooldown_s * 1000

    def apply(
        self, memory: TriggerMemory, user_id: str, propensity: float, now_ms: int, caused_by: str
    ) -> tuple[TriggerMemory, Trigger | None]:
        """Decide whether the rule fires at event time ``now_ms``; the memory afterwards, and the trigger or None."""
        armed = memory.armed or propensity <= self._rearm
        cool = memory.fired == 0 or now_ms - memory.fired_at_ms >= self._cooldown_ms
        if not (armed and cool and propensity >= self._threshold):
            return TriggerMemory(armed, memory.fired, memory.fired_at_ms), None
        trigger = Trigger(
            # Counted, not timed: a batch repeated after a crash is cut elsewhere, yet its trigger has the same id.
            trigger_id=_trigger_id(user_id, memory.fired),
            user_id=user_id,
            rule=RULE,
            score=propensity,
            reason=f"probability of a purchase within 24 hours {propensity:.2f} reached {self._threshold:.2f}",
            arm="sent",
            caused_by=caused_by,
            occurred_at_ms=now_ms,
        )
        return TriggerMemory(False, memory.fired + 1, now_ms), trigger


def decode_memory(value: bytes) -> TriggerMemory:
    """Memory from its bytes; a new one from none; `StateDamagedError` when they are cut short or altered."""
    try:
        return msgspec.msgpack.decode(value, type=TriggerMemory) if value else TriggerMemory()
    except (ValueError, RecursionError) as error:
        raise StateDamagedError("trigger memory", value, error) from error


def encode_memory(memory: TriggerMemory) -> bytes:
    """Bytes of a memory."""
    return msgspec.msgpack.encode(memory)


def _trigger_id(user_id: str, fired: int) -> str:
    return hashlib.blake2b(f"{RULE}\0{user_id}\0{fired}".encode(), digest_size=12).hexdigest()
