"""Ending processes for sure, and never a wrong one.

A process is its number and its start time, so that a number used again by somebody else is never hit. Ansible's
workers lead their own sessions since 2.19: killing a process group does not reach them, the process table does.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

PROC = Path("/proc")


class Process(NamedTuple):
    """One line of the process table; `start` is only ever compared."""

    pid: int
    parent: int
    start: str


def processes() -> dict[int, Process]:
    """Out: the process table, without zombies."""
    return _from_proc() if (PROC / "self/stat").exists() else _from_ps()


def _from_proc() -> dict[int, Process]:
    table = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, ValueError, IndexError):
                # The name in brackets may hold anything; state, parent, …, start time come after the last bracket.
                fields = (entry / "stat").read_text(errors="replace").rpartition(")")[2].split()
                if fields[0] != "Z":
                    table[int(entry.name)] = Process(int(entry.name), int(fields[1]), fields[19])
    return table


def _from_ps() -> dict[int, Process]:
    """Where there is no /proc (macOS)."""
    done = subprocess.run(["ps", "-Ao", "pid=,ppid=,stat=,lstart="], capture_output=True, text=True, check=False)
    table = {}
    for line in done.stdout.splitlines():
        pid, parent, state, start = (*line.split(None, 3), "", "", "")[:4]
        if pid.isdigit() and parent.isdigit() and not state.startswith("Z"):
            table[int(pid)] = Process(int(pid), int(parent), start)
    return table


def family(known: Iterable[Process]) -> set[Process]:
    """In: processes as once seen. Out: those of them still alive, and all their descendants."""
    table = processes()
    found = {process for process in known if process.pid in table and table[process.pid].start == process.start}
    pids = {process.pid for process in found}
    while more := {process for process in table.values() if process.parent in pids} - found:
        found |= more
        pids |= {process.pid for process in more}
    return found


def end_family(pid: int, *, patience: float = 3.0, hurry: Callable[[], bool] = lambda: False) -> set[Process]:
    """Ends a process and all its descendants: SIGINT to the first, time to tidy up, then SIGKILL to who is left.

    `hurry` is asked again and again; when it says yes the time to tidy up is over. Out: who survived (nobody).
    """
    first = processes().get(pid)
    if first is None:
        return set()
    known = family({first})
    _signal({first}, signal.SIGINT)
    until = time.monotonic() + patience
    while first in known and time.monotonic() < until and not hurry():
        time.sleep(0.05)
        known = family(known)  # while the first one lives: whoever it has started in between
    for number in (signal.SIGTERM, signal.SIGKILL):
        known = _end_all(known, number)
    return known


def _end_all(known: set[Process], number: signal.Signals) -> set[Process]:
    """One signal to everybody, then up to half a second for them to go. Out: who is still there."""
    known = family(known)
    _signal(known, number)
    until = time.monotonic() + 0.5
    while known and time.monotonic() < until:
        time.sleep(0.02)
        known = family(known)
    return known


def _signal(who: Iterable[Process], number: signal.Signals) -> None:
    for process in who:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process.pid, number)


def close_masters(control_dir: Path) -> None:
    """Closes the shared ssh connections whose sockets are in this folder; they outlive Ansible on purpose."""
    for socket in control_dir.glob("*"):
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            command = ["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "llmdeploy"]
            subprocess.run(command, capture_output=True, timeout=2, check=False, stdin=subprocess.DEVNULL)
