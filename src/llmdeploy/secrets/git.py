"""What git knows of a file. Where there is no git or no work tree, nothing is known."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

# Little of the shell: the variables that git sets for its hooks would lead to another repository than the file's.
_INHERITED = ("PATH", "HOME", "XDG_CONFIG_HOME")


def is_left_out(path: Path) -> bool:
    """Whether git leaves the file alone: it is ignored and not tracked, or in no work tree."""
    done = _git(path.parent, "check-ignore", "-q", "--", path.name)
    return done is None or done.returncode != 1


def versions(path: Path) -> dict[str, bytes]:
    """Of the file in the index and in the last commit: where it is, and what stands there."""
    found = {}
    for where, revision in (("git's index", ":"), ("the last commit", "HEAD:")):
        done = _git(path.parent, "cat-file", "blob", f"{revision}./{path.name}")
        if done is not None and done.returncode == 0:
            found[where] = done.stdout
    return found


def _git(folder: Path, *words: str) -> subprocess.CompletedProcess[bytes] | None:
    env = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    try:
        return subprocess.run(
            ["git", "-C", str(folder), *words],
            env={**env, "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
