"""Programs that print a secret: a keychain, a password manager. What they print is never shown."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from llmdeploy.errors import SecretsError

DEADLINE = 60.0
PASSWORD_VARIABLE = "LLMDEPLOY_VAULT_PASSWORD"  # noqa: S105 (its name)
_MOST_LINES, _MOST_CHARACTERS = 5, 500


def output_of(argv: Sequence[str], whose: str, *, cwd: Path, hidden: Iterable[str] = ()) -> bytes:
    """What a program prints, run without a shell in `cwd`, with up to a minute of time.

    `whose` names what it is run for in messages; the variables `hidden` are not handed to it. Raises SecretsError when
    it cannot be run, fails or takes too long; only its standard error is shown.
    """
    try:
        process = subprocess.Popen(
            list(argv),
            cwd=cwd,
            env=child_environment(hidden),
            # A program may ask at the terminal. A pipe holds something that is meant for us.
            stdin=None if sys.stdin is not None and sys.stdin.isatty() else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "not a program"
        raise SecretsError(f"{whose}: `{argv[0]}` cannot be run: {why}") from None
    with process:
        try:
            out, err = process.communicate(timeout=DEADLINE)
        except subprocess.TimeoutExpired:
            process.kill()  # its children may go on and hold the pipes; nothing more is read from those
            raise SecretsError(f"{whose}: `{argv[0]}` has not ended within {DEADLINE:.0f} s") from None
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        said = _last_lines(err)
        raise SecretsError(f"{whose}: `{argv[0]}` {ended(process.returncode)}{f': {said}' if said else ''}")
    return out


def child_environment(hidden: Iterable[str] = ()) -> dict[str, str]:
    """Our own environment without the secrets in it."""
    kept_back = {PASSWORD_VARIABLE, *hidden}
    return {name: value for name, value in os.environ.items() if name not in kept_back}


def ended(code: int) -> str:
    """In: what a process ended with. Out: the same in words."""
    return f"ended with exit code {code}" if code >= 0 else f"was ended by signal {-code}"


def _last_lines(err: bytes) -> str:
    lines = err.decode(errors="replace").strip().splitlines()[-_MOST_LINES:]
    return "\n".join(lines)[-_MOST_CHARACTERS:]
