"""The exception tree and the exit codes.

LlmdeployError              1  something failed
├── UsageError              2  the command line is wrong, or a needed confirmation cannot be asked
├── ConfigError             3  one or more problems in the configuration, each with its place
├── SecretsError            3  the secrets cannot be opened or had: no password, a wrong one, a program that fails
├── LockedError             4  somebody else is changing this environment
├── SwarmLockedError        1  a manager's Swarm waits for its unlock key
├── UnreachableError        5  a host cannot be reached
├── UnhealthyError          7  a service, or the stack, is not healthy
└── InterruptedRunError   130  the run was interrupted by the user or by a signal
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any


class Exit(IntEnum):
    """Every exit code of the command, in one place. Printed in `--help` and in the README."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    CONFIG = 3
    LOCKED = 4
    UNREACHABLE = 5
    ROLLED_BACK = 6
    UNHEALTHY = 7
    CHANGES = 10
    INTERRUPTED = 130


EXIT_MEANING: dict[Exit, str] = {
    Exit.DONE: "done, or nothing to do",
    Exit.FAILED: "failed",
    Exit.USAGE: "usage",
    Exit.CONFIG: "configuration",
    Exit.LOCKED: "locked by another run",
    Exit.UNREACHABLE: "a host is unreachable",
    Exit.ROLLED_BACK: "failed and rolled back",
    Exit.UNHEALTHY: "unhealthy",
    Exit.CHANGES: "plan has changes",
    Exit.INTERRUPTED: "interrupted",
}


class LlmdeployError(Exception):
    """Base of every error a user is meant to read.

    `hint` is what to do next, `details` is data for `--json` (JSON-serialisable).
    """

    exit_code: Exit = Exit.FAILED

    def __init__(self, message: str, *, hint: str = "", details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.details = details or {}


class UsageError(LlmdeployError):
    """The command line is wrong, or a confirmation is needed and there is nobody to ask."""

    exit_code = Exit.USAGE


@dataclass(frozen=True)
class Problem:
    """One thing wrong with the configuration.

    `file` is relative to the project where possible, `line` counts from 1 (0: the whole file),
    `path` is the dotted key, `value` the offending value as written, `hint` what was probably meant.
    """

    file: str
    line: int
    path: str
    value: str
    why: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        key = f": {self.path}" if self.path else ""
        value = f" = {self.value}" if self.value else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}{key}{value}: {self.why}{hint}"


class ConfigError(LlmdeployError):
    """All problems of the configuration at once; nothing was contacted or changed."""

    exit_code = Exit.CONFIG

    def __init__(self, problems: list[Problem]) -> None:
        count = len(problems)
        super().__init__(
            f"{count} problem{'s' if count != 1 else ''} in the configuration",
            details={"problems": [vars(problem) for problem in problems]},
        )
        self.problems = problems


class SecretsError(LlmdeployError):
    """The secrets cannot be opened, had or written; no value is ever in the message."""

    exit_code = Exit.CONFIG


class LockedError(LlmdeployError):
    """Another run holds the environment's lock, or changed the cluster in between."""

    exit_code = Exit.LOCKED


class SwarmLockedError(LlmdeployError):
    """A manager was restarted and its Swarm waits for its unlock key (`swarm.autolock`)."""


class UnreachableError(LlmdeployError):
    """A host did not answer; the message names it and what was tried."""

    exit_code = Exit.UNREACHABLE


class UnhealthyError(LlmdeployError):
    """A service did not become healthy, or a check failed."""

    exit_code = Exit.UNHEALTHY


class InterruptedRunError(LlmdeployError):
    """Ctrl-C or SIGTERM ended the run; the message says what state things are in."""

    exit_code = Exit.INTERRUPTED
