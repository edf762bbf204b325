"""A process of its own for a job: it outlives the module that starts it and the SSH session around that."""

from __future__ import annotations

import fcntl
import os
import sys
from collections.abc import Callable
from pathlib import Path


def lock_pid(folder: Path) -> int:
    """The descriptor of the job's `pid` file, locked for as long as it is open (see `progress.alive`)."""
    file = os.open(folder / "pid", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return file


def spawn(folder: Path, work: Callable[[Path, int], int]) -> None:
    """Start `work(folder, lock)` as a daemon and return at once; its result is the process's exit code.

    It is forked, not executed: the files it was imported from are removed when Ansible has gone.
    """
    lock = lock_pid(folder)  # the child inherits it: `alive` from the first moment on
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        os.close(lock)
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    code = 1
    try:
        _let_go(folder, lock)
        code = work(folder, lock)
    finally:
        os._exit(code)


def _let_go(folder: Path, keep: int) -> None:
    """Let go of everything of the parent but the file `keep`."""
    os.chdir("/")
    nothing = os.open(os.devnull, os.O_RDONLY)
    output = os.open(folder / "engine.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for target, source in ((0, nothing), (1, output), (2, output)):
        os.dup2(source, target)
    os.closerange(3, keep)
    os.closerange(keep + 1, min(65536, os.sysconf("SC_OPEN_MAX")))
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
