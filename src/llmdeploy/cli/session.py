"""What every command has: the common options, the environment, the way results are shown."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llmdeploy.errors import Exit, UsageError
from llmdeploy.project import Project, find_project

if TYPE_CHECKING:
    from llmdeploy.config import Environment, Outline
    from llmdeploy.view import ViewMode


@dataclass(frozen=True)
class Session:
    """One call of the command: which environment and action, and the common options."""

    environment: str
    action: str
    json: bool = False
    plain: bool = False
    quiet: bool = False
    verbose: int = 0
    project_dir: Path | None = None
    overrides: Sequence[str] = ()
    ask_become_pass: bool = False

    @cached_property
    def project(self) -> Project:
        """The project: `--project`, LLMDEPLOY_PROJECT_DIR, or the folder we are in."""
        return find_project(None, self.project_dir)

    def load(self) -> Environment:
        """The resolved environment; raises ConfigError with every problem."""
        from llmdeploy.config import load

        return load(self.project, self.environment, self.overrides)

    def outline(self) -> Outline:
        """The environment as far as its files can be read; raises ConfigError when there are no hosts."""
        from llmdeploy.config import load_outline

        return load_outline(self.project, self.environment, self.overrides)

    @cached_property
    def become_password(self) -> str | None:
        """sudo's password on the hosts, asked once, when `--ask-become-pass` is given."""
        if not self.ask_become_pass:
            return None
        from getpass import getpass

        try:
            return getpass("sudo password on the hosts: ")
        except EOFError:
            raise UsageError("--ask-become-pass: no password was given, and there is nobody to ask") from None

    def redact(self, text: str) -> str:
        """`text` without the password that was typed, should a host repeat it."""
        return text.replace(self.become_password, "***") if self.become_password else text

    def say(self, text: str) -> None:
        """Tells a person at a terminal what is going on before there is anything to show."""
        if sys.stderr.isatty() and not (self.json or self.quiet):
            sys.stderr.write(f"{text}\n")

    def note(self, text: str) -> None:
        """Tells people something beside the result, also those who read a log later."""
        if not (self.json or self.quiet):
            sys.stderr.write(f"{text}\n")

    @property
    def can_ask(self) -> bool:
        """Whether there is somebody to answer a question."""
        return sys.stdin.isatty() and not self.json

    @property
    def view_mode(self) -> ViewMode:
        """How a run is to be shown."""
        from llmdeploy.view import ViewMode

        return ViewMode(json=self.json, plain=self.plain, quiet=self.quiet, verbose=self.verbose, command=self.command)

    @property
    def command(self) -> str:
        """As typed, for messages and the JSON envelope: `dev deploy`."""
        return f"{self.environment} {self.action}".strip()


@dataclass(frozen=True)
class Outcome:
    """What a verb gives back. `kind` picks how the view shows `data`; `data` is JSON-serialisable."""

    kind: str
    data: dict[str, Any] = field(default_factory=dict)
    exit_code: Exit = Exit.DONE
    errors: list[dict[str, Any]] = field(default_factory=list)
