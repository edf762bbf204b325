"""Environment first: `llmdeploy ENV ACTION`. Any name that is no command of its own is taken as an environment."""

from __future__ import annotations

import difflib
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperGroup

from llmdeploy.errors import UsageError
from llmdeploy.project import find_project

ACTIONS = typer.Typer(add_completion=False, no_args_is_help=True, rich_markup_mode=None)
COMMON_FLAGS = ("--json", "--plain", "--quiet", "--verbose", "--ask-become-pass", "-q", "-v", "-vv", "-vvv")
COMMON_VALUES = ("--project", "--set")
GROUPS = ("secrets", "swarm", "tls")  # actions with verbs of their own


class ActionGroup(TyperGroup):
    """The actions of an environment."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As usual, but an option where the action belongs is told so."""
        if args and args[0].startswith("-") and not {*args} & {*ctx.help_option_names} and not ctx.resilient_parsing:
            raise UsageError(
                f"the action comes before its options: {ctx.command_path} ACTION {args[0]}",
                hint=f"actions: {', '.join(self.list_commands(ctx))}",
            )
        return super().parse_args(ctx, args)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As usual, but an unknown action gives the nearest names."""
        if self.get_command(ctx, args[0]) is None and not ctx.resilient_parsing:
            raise unknown("action", args[0], self.list_commands(ctx))
        return super().resolve_command(ctx, args)


def verbs(*, about: str, short_help: str, epilog: str) -> typer.Typer:
    """An action that has verbs of its own: `llmdeploy ENV ACTION VERB`."""
    return typer.Typer(
        cls=ActionGroup,
        no_args_is_help=True,
        rich_markup_mode=None,
        subcommand_metavar="VERB [OPTIONS]",
        help=about,
        short_help=short_help,
        epilog=epilog,
    )


class Grammar(TyperGroup):
    """The top level: commands without an environment, and every environment of the project."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Commands and environments, for completion."""
        return [*super().list_commands(ctx), *known_environments()]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command, or the actions of the environment named `cmd_name`."""
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            return command
        environments = known_environments()
        if environments and cmd_name not in environments and not ctx.resilient_parsing:
            raise unknown("environment or command", cmd_name, [*environments, *super().list_commands(ctx)])
        group = typer.main.get_command(ACTIONS)
        group.help = f"Actions of the environment {cmd_name}."
        group.short_help = "an environment"
        return group

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 (the parser's signature)
        """For help: the commands, what every environment can do, and which environments there are."""
        actions: Any = typer.main.get_command(ACTIONS)
        for title, commands in (
            ("Actions (llmdeploy ENV ACTION)", actions.commands),
            ("Commands without an environment", self.commands),
        ):
            room = formatter.width - 6 - max(map(len, commands))
            with formatter.section(title):
                formatter.write_dl([(name, command.get_short_help_str(room)) for name, command in commands.items()])
        with formatter.section("Environments of this project"):
            names = known_environments()
            formatter.write_text(", ".join(names) if names else "none: there is no project here (llmdeploy init)")


def unknown(kind: str, name: str, known: list[str]) -> UsageError:
    """The error for a name that does not exist: the nearest ones, or all."""
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are: {', '.join(known)}"
    return UsageError(f"there is no {kind} {name[:60]!r}", hint=hint)


def action_first(argv: Sequence[str]) -> list[str]:
    """The command line with the common options that stand before the action, or a verb of it, moved behind it."""
    words: list[str] = []
    early: list[str] = []
    rest = list(argv)
    while rest and len(words) < (3 if words[1:] and words[1] in GROUPS else 2):
        word = rest.pop(0)
        if word in COMMON_VALUES:
            early += [word, *rest[:1]]
            del rest[:1]
        elif word in COMMON_FLAGS or word.startswith(tuple(f"{name}=" for name in COMMON_VALUES)):
            early.append(word)
        else:
            words.append(word)
    return [*words, *early, *rest]


def project_option(argv: Sequence[str]) -> Path | None:
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
        return find_project(None, project_option(_typed())).environments()
    except UsageError:
        return []


def _typed() -> Sequence[str]:
    """What has been typed; while a shell completes, it hands that over in a variable of its own."""
    completing = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS")
    if completing is None or "_LLMDEPLOY_COMPLETE" not in os.environ:
        return sys.argv
    try:
        return shlex.split(completing)
    except ValueError:  # an open quote
        return completing.split()
