"""Who may do what: a file of hashed API keys in; for a presented key, its name and scopes out."""

from __future__ import annotations

import hashlib
import logging
import secrets
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

log = logging.getLogger(__name__)

Scope = Literal["read", "write", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

PREFIX = "lc_"
LOOK_S = 2.0
"""Seconds between two looks whether the file has changed: how long a revoked key still opens."""


class KeyFileError(ValueError):
    """The file of keys cannot be used: says which line, what was seen and what was expected."""


class KeyFileGone(KeyFileError):
    """The file of keys is not there, or may not be read."""


@dataclass(frozen=True)
class Key:
    """A key that may be used; ``admin`` includes the other scopes."""

    name: str
    scopes: frozenset[Scope]

    def allows(self, scope: Scope) -> bool:
        """Whether the key opens what needs this scope."""
        return scope in self.scopes or "admin" in self.scopes


def new_key(name: str, scopes: frozenset[Scope]) -> tuple[str, str]:
    """Make a key.

    Returns
    -------
    tuple
        The key, which nothing but its owner keeps, and the line for the file of keys, which holds its hash alone.
    """
    key = PREFIX + secrets.token_urlsafe(32)
    return key, f"{name} {','.join(sorted(scopes))} {_hashed(key)}"


class Keys:
    """The keys of a file, read again when it changes.

    One line a key: its name, its scopes separated by commas, and its sha256. Empty lines and lines that begin with #
    are left out. A plain hash is enough, since keys are 256 random bits and not words.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stamp: tuple[int, int] | None = None
        self._looked_at = 0.0
        self._by_hash: dict[str, Key] = {}
        self._gone = False
        self._read_changed()

    def find(self, key: str) -> Key | None:
        """The key that was presented, if it is one."""
        self._look()
        return self._by_hash.get(_hashed(key))

    @property
    def readable(self) -> bool:
        """Whether the file is there; while it is not, no key opens anything."""
        self._look()
        return not self._gone

    def _look(self) -> None:
        """Read the file again now and then, if it has changed."""
        if time.monotonic() - self._looked_at <= LOOK_S:
            return
        try:
            self._read_changed()
        except KeyFileGone as error:
            # Whoever took it away may have meant its keys: nobody is let in until it is back.
            if not self._gone:
                log.error("%s; no key opens anything until it is back", error)
            self._by_hash, self._stamp, self._gone = {}, None, True
        except KeyFileError as error:
            # Half-written, as a rule: the keys of before stay until it can be read again.
            log.error("%s; the former keys stay", error)

    def _read_changed(self) -> None:
        self._looked_at = time.monotonic()
        try:
            stat = self._path.stat()
            stamp = stat.st_mtime_ns, stat.st_size
            if stamp != self._stamp:
                self._by_hash = read_keys(self._path)
                self._stamp = stamp
            self._gone = False
        except OSError as error:
            raise KeyFileGone(
                f"API keys: cannot read {self._path}: {error}; LASTCLICK_API_KEYS must name a file of lines that "
                "`lastclick api-key new` prints"
            ) from error


def read_keys(path: Path) -> dict[str, Key]:
    """Keys of a file, by the sha256 of the key."""
    keys: dict[str, Key] = {}
    for number, line in enumerate(path.read_text().splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        words = line.split()
        scopes = frozenset(scope for scope in SCOPES if len(words) == 3 and scope in words[1].split(","))
        if len(words) != 3 or len(scopes) != len(words[1].split(",")) or len(words[2]) != 64:
            raise KeyFileError(
                f"{path}, line {number}: saw {len(words)} words, expected a name, scopes of {', '.join(SCOPES)} "
                "separated by commas, and a sha256 of 64 digits, as `lastclick api-key new` prints them"
            )
        keys[words[2]] = Key(words[0], scopes)
    return keys


def _hashed(key: str) -> str:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
