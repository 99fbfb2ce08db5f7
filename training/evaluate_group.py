"""How the words after `evaluate` are taken: a subject that has a command of its own, or else the name of a source."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup

LOG = "log"
"""The command that a source's name is short for: `evaluate shop` is `evaluate log shop`."""


class EvaluateGroup(TyperGroup):
    """A group of commands whose first word may also be the first argument of its command `log`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the command of `args`; a word that names none begins the arguments of `log`."""
        return super().resolve_command(ctx, args if args[0] in self.commands else [LOG, *args])
