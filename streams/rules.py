"""Business rules: values of the topic ``rules`` in, rules whose time it is out.

The topic is compacted, keyed by rule_id, and read whole by every worker. A value that is no rule is refused with an
error that names the field, and nothing of it is applied; a null value removes the rule.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Annotated, Literal, get_args

import msgspec
from aiokafka import ConsumerRecord
from msgspec import Meta

from feature_repo.event_errors import EXPECTED, NOT_TEXT, DecodeError, diagnose, quote, wrong
from feature_repo.events import MAX_MS, Id, Name

log = logging.getLogger(__name__)

Kind = Literal["pin", "boost", "bury", "block"]
Scene = Literal[
    "home",
    "popular",
    "trending",
    "new",
    "similar",
    "bought_with",
    "cart",
    "category",
    "brand",
    "promotion",
    "again",
]
SCENES: tuple[Scene, ...] = get_args(Scene)
ABOUT_AN_ITEM: tuple[Scene, ...] = ("similar", "bought_with")
"""Lists about one item: a pin would put the same item beside all of them."""

MAX_NOTE = 200
MIN_FACTOR, MAX_FACTOR = 0.001, 1000.0
MAX_RULE_BYTES = 10_000
TimeMs = Annotated[int, Meta(gt=0, le=MAX_MS)]


class Rule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the shop wants of lists, whatever the models say.

    Exactly one of `item_id`, `category` and `brand` says what it is about. Without `scenes` it holds in all of them;
    without `from_ms` or `until_ms` it is open at that end (ms since the epoch, by the clock). `position` 0 is the first
    place. A `factor` above 1 (boost) or below 1 (bury) makes an item so many times as likely.
    """

    rule_id: Id
    kind: Kind
    item_id: Id | None = None
    category: Name | None = None
    brand: Name | None = None
    scenes: tuple[Scene, ...] = ()
    position: Annotated[int, Meta(ge=0, le=1_000_000)] | None = None
    factor: Annotated[float, Meta(ge=MIN_FACTOR, le=MAX_FACTOR)] | None = None
    from_ms: TimeMs | None = None
    until_ms: TimeMs | None = None
    note: Annotated[str, Meta(max_length=MAX_NOTE)] = ""

    def holds(self, scene: str, now_ms: int) -> bool:
        """Whether it counts in lists of `scene` that are made at `now_ms` (ms since the epoch, by the clock)."""
        return (
            (scene in self.scenes or (not self.scenes and not (self.kind == "pin" and scene in ABOUT_AN_ITEM)))
            and (self.from_ms is None or self.from_ms <= now_ms)
            and (self.until_ms is None or now_ms < self.until_ms)
        )

    @property
    def reason(self) -> str:
        """What it did to an item, in words: for the item's place in a list."""
        done = {"pin": "pinned", "boost": "boosted", "bury": "buried", "block": "blocked"}[self.kind]
        return f"{done}: {self.note}" if self.note else f"{done} by the shop"


_DECODER = msgspec.json.Decoder(Rule)


def decode_rule(key: bytes | None, value: bytes) -> Rule:
    """Decode a record of the ``rules`` topic.

    Raises
    ------
    DecodeError
        It is no rule; the text names the field, what was seen and what was expected.
    """
    if len(value) > MAX_RULE_BYTES:
        raise DecodeError("value", f"{len(value)} bytes", f"at most {MAX_RULE_BYTES} bytes")
    try:
        rule = _DECODER.decode(value)
    except (ValueError, RecursionError) as error:
        raise diagnose(value, error, Rule.__struct_fields__) from error
    _check(rule)
    if key != rule.rule_id.encode():
        seen = "null" if key is None else quote(key.decode("utf-8", "backslashreplace"))
        raise DecodeError("key", seen, f"the bytes of rule_id {quote(rule.rule_id)}")
    return rule


def encode_rule(rule: Rule) -> bytes:
    """Encode a rule as the contract's JSON."""
    return msgspec.json.encode(rule)


def _check(rule: Rule) -> None:
    for field in ("rule_id", "item_id", "category", "brand", "note"):
        text = getattr(rule, field)
        if text is not None and NOT_TEXT.search(text):
            raise wrong(field, text)
    targets = {name: getattr(rule, name) for name in ("item_id", "category", "brand")}
    given = [name for name, value in targets.items() if value is not None]
    if len(given) != 1:
        raise DecodeError("item_id", ", ".join(given) or "nothing", "exactly one of item_id, category and brand")
    if rule.kind == "pin":
        if rule.item_id is None:
            raise DecodeError(given[0], quote(targets[given[0]]), "item_id: only a single item can be pinned")
        if rule.position is None:
            raise DecodeError("position", "nothing", f"{EXPECTED['position']}, not null, for a pin")
        if set(rule.scenes) & set(ABOUT_AN_ITEM):
            raise DecodeError("scenes", quote(list(rule.scenes)), f"none of {', '.join(ABOUT_AN_ITEM)} for a pin")
    elif rule.position is not None:
        raise DecodeError("position", quote(rule.position), f"nothing, for a {rule.kind}")
    if rule.kind in ("boost", "bury"):
        over = rule.kind == "boost"
        if rule.factor is None or (rule.factor <= 1 if over else rule.factor >= 1):
            raise DecodeError(
                "factor", quote(rule.factor), f"a number {'over' if over else 'under'} 1 for a {rule.kind}"
            )
    elif rule.factor is not None:
        raise DecodeError("factor", quote(rule.factor), f"nothing, for a {rule.kind}")
    if rule.from_ms is not None and rule.until_ms is not None and rule.until_ms <= rule.from_ms:
        raise DecodeError("until_ms", str(rule.until_ms), f"a time after from_ms, {rule.from_ms}")


class Rules:
    """The rules as the topic has them."""

    def __init__(self) -> None:
        self._rules: Mapping[str, Rule] = {}
        # The event loop takes rules in, other threads ask for them: a new mapping each time, so nobody waits.
        self._applying = threading.Lock()

    def apply(self, record: ConsumerRecord) -> None:
        """Take in one record of ``rules``; one that is no rule is refused, and takes a former one of its key along."""
        rule_id = record.key.decode("utf-8", "backslashreplace") if record.key is not None else ""
        with self._applying:
            rules = {name: rule for name, rule in self._rules.items() if name != rule_id}
            if record.value is not None:
                try:
                    rule = decode_rule(record.key, record.value)
                    rules[rule.rule_id] = rule
                except DecodeError as error:
                    log.error("rule %r is refused, and nothing of it is applied: %s", rule_id, error)
            self._rules = rules

    def holding(self, scene: str, now_ms: int) -> tuple[Rule, ...]:
        """Rules that count in lists of `scene` made at `now_ms` (ms since the epoch, by the clock), by their ids."""
        rules = self._rules
        return tuple(rules[name] for name in sorted(rules) if rules[name].holds(scene, now_ms)) if rules else ()
