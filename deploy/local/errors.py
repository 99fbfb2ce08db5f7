"""What the launcher raises: one error, whose text says what failed, what was seen and what to do."""

from __future__ import annotations


class LauncherError(Exception):
    """A local server could not be brought up, or a given server does not answer."""
