"""The topic ``rules`` for people's commands: files and settings in; rules checked, appended and read back out.

Workers read it as they read every compacted topic (`streams.compacted`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from kafka import KafkaProducer

from feature_repo.events import DecodeError
from streams.readback import newest_values
from streams.rules import decode_rule
from streams.settings import Settings
from streams.topics import RULES, create_topics

APPEND_TIMEOUT_S = 30.0


class RuleFileError(ValueError):
    """A file of rules cannot be sent: says which rule, what was seen and what was expected."""


def read_file(path: Path) -> dict[str, bytes]:
    """Read a JSON file of one rule or a list of rules; values for the topic by rule_id, each of them checked.

    Raises
    ------
    RuleFileError
        When the file cannot be read, or any of it is no rule: nothing of it should be sent then.
    """
    try:
        content: object = msgspec.json.decode(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise RuleFileError(f"{path}: {error}; expected a JSON file of one rule or a list of rules") from error
    rules = content if isinstance(content, list) else [content]
    values: dict[str, bytes] = {}
    for number, fields in enumerate(rules, start=1):
        value = msgspec.json.encode(fields)
        name = fields.get("rule_id") if isinstance(fields, dict) else None
        rule_id = name if isinstance(name, str) else ""
        try:
            decode_rule(rule_id.encode(), value)
        except DecodeError as error:
            raise RuleFileError(f"{path}: rule {number} {rule_id!r}: {error}; nothing of the file is sent") from error
        if rule_id in values:
            raise RuleFileError(f"{path}: rule {number}: saw rule_id {rule_id!r} twice, expected one rule of an id")
        values[rule_id] = value
    return values


def read_rules(settings: Settings) -> list[dict[str, Any]]:
    """Read the rules as the topic has them, by their ids; of what is no rule, its ``rule_id`` and the ``error``."""
    found: list[dict[str, Any]] = []
    for rule_id, value in sorted(newest_values(settings, RULES).items()):
        try:
            found.append(msgspec.to_builtins(decode_rule(rule_id.encode(), value)))
        except DecodeError as error:
            found.append({"rule_id": rule_id, "error": str(error)})
    return found


def append_rules(settings: Settings, values: Mapping[str, bytes | None]) -> None:
    """Append values by rule_id, None to remove one; when this returns, the broker has them.

    Raises
    ------
    kafka.errors.KafkaError
        When the broker does not take one.
    """
    create_topics(settings)
    producer = KafkaProducer(bootstrap_servers=settings.kafka.split(","), client_id="lastclick-rules")
    try:
        sent = [producer.send(RULES, key=rule_id.encode(), value=value) for rule_id, value in values.items()]
        for each in sent:
            each.get(timeout=APPEND_TIMEOUT_S)
    finally:
        producer.close()
