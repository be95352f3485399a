"""Commands that other packages add to `paka`, by the entry points `paka.commands`.

Each names a `typer.Typer`. They are looked for only where one of `paka`'s own commands will not do,
so that those start as fast as ever.
"""

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from typer.core import TyperGroup
from typer.main import get_command


class OpenGroup(TyperGroup):
    """A group of commands that others may add to."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names of its own commands, then those of others."""
        return [*super().list_commands(ctx), *_found()]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """One command; None if there is none of this name."""
        own = super().get_command(ctx, cmd_name)
        return own or (_load(cmd_name) if cmd_name in _found() else None)


@cache
def _found() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group="paka.commands")}


@cache
def _load(name: str) -> Any:
    command = get_command(_found()[name].load())
    command.name = name
    return command
