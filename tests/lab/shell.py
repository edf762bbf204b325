"""Runs commands on this machine and says plainly what went wrong."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from typing import IO

Completed = subprocess.CompletedProcess[str]


class LabError(Exception):
    """The lab cannot do what was asked."""


def run(
    command: Sequence[str],
    *,
    check: bool = True,
    input: str | None = None,  # noqa: A002 - the name subprocess gives it
    stdin: IO[bytes] | None = None,
    timeout: float = 300,
) -> Completed:
    """Run a command and return its output as text; with `check`, a failure raises `LabError`."""
    try:
        done = subprocess.run(
            command,
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
            input=input,
            # A command must never read from the terminal or from pytest's stdin.
            stdin=None if input is not None else stdin or subprocess.DEVNULL,
        )
    except FileNotFoundError as error:
        raise LabError(f"{command[0]} is not installed on this machine") from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"no end after {timeout:g} s: {_shown(command)}") from error
    if check and done.returncode != 0:
        raise LabError(f"exit code {done.returncode}: {_shown(command)}\n{_tail(done)}")
    return done


def docker(*arguments: str, check: bool = True, timeout: float = 300) -> Completed:
    """Run the `docker` command against this machine's engine."""
    return run(["docker", *arguments], check=check, timeout=timeout)


def as_root(*command: str) -> list[str]:
    """Return the command, through `sudo` where this process is not root."""
    return list(command) if os.geteuid() == 0 else ["sudo", "-n", *command]


def _shown(command: Sequence[str]) -> str:
    text = " ".join(command)
    return text if len(text) <= 300 else f"{text[:140]} … {text[-140:]}"


def _tail(done: Completed) -> str:
    return "\n".join((done.stdout + done.stderr).splitlines()[-20:])
