"""Environment first: `llmdeploy ENV ACTION`. Any name that is no command of its own is taken as an environment."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from llmdeploy.errors import UsageError
from llmdeploy.project import find_project

ACTIONS = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None)


class ActionGroup(TyperGroup):
    """The actions of an environment."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As usual, but an unknown action gives the nearest names."""
        if args and not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            raise typer.BadParameter(unknown("action", args[0], self.list_commands(ctx)))
        return super().resolve_command(ctx, args)


class Grammar(TyperGroup):
    """The top level: commands without an environment, and every environment of the project."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Commands and environments, for help and completion."""
        return [*super().list_commands(ctx), *known_environments()]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, or the actions of the environment named `cmd_name`."""
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            return command
        environments = known_environments()
        if environments and cmd_name not in environments:
            names = [*environments, *super().list_commands(ctx)]
            raise typer.BadParameter(unknown("environment or command", cmd_name, names))
        group = typer.main.get_command(ACTIONS)
        group.help = f"Actions of the environment {cmd_name}."
        group.short_help = "an environment"
        return group


def unknown(kind: str, name: str, known: list[str]) -> str:
    """The message for a name that does not exist: the nearest ones, or all."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    if near:
        return f"there is no {kind} {name!r}; did you mean {' or '.join(near)}?"
    return f"there is no {kind} {name!r}; there are: {', '.join(known)}"


def project_option(argv: list[str]) -> Path | None:
    """The value of `--project` wherever it stands on the command line: environments are looked up before parsing."""
    for index, word in enumerate(argv):
        if word == "--project" and index + 1 < len(argv):
            return Path(argv[index + 1])
        if word.startswith("--project="):
            return Path(word.split("=", 1)[1])
    return None


def known_environments() -> list[str]:
    """Environments of the project we are in; none when there is no project."""
    try:
        return find_project(None, project_option(sys.argv)).environments()
    except UsageError:
        return []
