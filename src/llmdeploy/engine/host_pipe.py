"""Runs commands on hosts from the machine that deploys, and streams the output of one into another.

For images: gigabytes go from one host to the next without touching a disk in between. Every stream has a deadline.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

PROMPT, READY = "llmdeploy-password:", "llmdeploy-ready"
CHUNK = 1 << 20
LOGIN_SECONDS = 30.0


class PipeError(Exception):
    """A stream broke; the message names the host and what it said."""


@dataclass(frozen=True)
class Place:
    """Where a command runs: `ssh` is the command line that leads there, empty for this machine."""

    name: str
    ssh: tuple[str, ...] = ()
    become: bool = False
    password: str = field(default="", repr=False)

    def command(self, argv: Sequence[str]) -> list[str]:
        """The local command line that runs `argv` there, as root."""
        remote = [*self._sudo(), *argv]
        return [*self.ssh, shlex.join(remote)] if self.ssh else remote

    def _sudo(self) -> list[str]:
        if not self.become:
            return []
        if not self.password:
            return ["sudo", "-n"]
        # sudo may or may not ask, and what it does not read reaches the command: so the command says when it starts.
        return ["sudo", "-S", "-p", PROMPT, "sh", "-c", f'echo {READY} >&2; exec "$@"', "sh"]


class Process:
    """A command that runs at a place, with sudo's question answered and the end of what it said kept."""

    def __init__(self, place: Place, argv: Sequence[str]) -> None:
        self.place, self.argv = place, argv
        self.said: deque[str] = deque(maxlen=20)
        self._popen = subprocess.Popen(
            place.command(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # so that kill() reaches what the command has started
        )
        self._ready = threading.Event()
        self._answered = False
        self._reader = threading.Thread(target=self._read_errors, daemon=True)
        self._reader.start()
        if not (place.become and place.password):
            self._ready.set()

    @property
    def stdin(self) -> IO[bytes]:
        """The command's input, once it runs."""
        self._ready.wait(LOGIN_SECONDS)
        assert self._popen.stdin is not None  # noqa: S101 (asked for above)
        return self._popen.stdin

    @property
    def stdout(self) -> IO[bytes]:
        """The command's output."""
        assert self._popen.stdout is not None  # noqa: S101 (asked for above)
        return self._popen.stdout

    def _read_errors(self) -> None:
        text = b""
        assert self._popen.stderr is not None  # noqa: S101 (asked for above)
        while byte := self._popen.stderr.read(1):
            text += byte
            if text == PROMPT.encode():
                self._answer()
                text = b""
            elif byte == b"\n":
                line = text.decode("utf-8", "replace").strip()
                self._ready.set() if line == READY else self.said.append(line)
                text = b""
        self._ready.set()

    def _answer(self) -> None:
        if self._answered:  # asked a second time
            self.said.append("sudo refused the password")
            self.kill()
            return
        self._answered = True
        if self._popen.stdin is not None:
            self._popen.stdin.write(f"{self.place.password}\n".encode())
            self._popen.stdin.flush()

    def kill(self) -> None:
        """End the command, if it has not ended by itself."""
        if self._popen.poll() is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._popen.pid, signal.SIGKILL)

    def close(self) -> None:
        """Leave nothing behind."""
        self.kill()
        with suppress(OSError):
            if self._popen.stdin is not None:
                self._popen.stdin.close()
        self._popen.wait()

    def check(self) -> None:
        """Wait for the end; PipeError when it was a bad one."""
        code = self._popen.wait()
        self._reader.join(2)
        if code != 0:
            said = "\n".join(self.said) or "it said nothing"
            raise PipeError(f"{' '.join(self.argv[:3])} on {self.place.name} failed (exit {code}): {said}")


@contextmanager
def _running(deadline: float, *processes: Process) -> Iterator[threading.Event]:
    """Kill the processes after the deadline, and in any case at the end."""
    late = threading.Event()

    def give_up() -> None:
        late.set()
        for process in processes:
            process.kill()

    timer = threading.Timer(deadline, give_up)
    timer.start()
    try:
        yield late
    finally:
        timer.cancel()
        for process in processes:
            process.close()


def stream(source: tuple[Place, Sequence[str]] | Path, target: tuple[Place, Sequence[str]], deadline: float) -> str:
    """Feed a file, or what a command prints, into another command; returns what that one prints."""
    sender = None if isinstance(source, Path) else Process(*source)
    receiver = Process(*target)
    processes = [process for process in (sender, receiver) if process]
    with _running(deadline, *processes) as late:
        said: list[bytes] = []
        listener = threading.Thread(target=lambda: said.append(receiver.stdout.read()), daemon=True)
        listener.start()
        try:
            _copy(source, sender, receiver)
            for process in processes:
                process.check()
        except PipeError:
            if not late.is_set():
                raise
            names = " → ".join(process.place.name for process in processes)
            raise PipeError(f"{names}: no end after {deadline:.0f} s") from None
        listener.join(5)
    return b"".join(said).decode("utf-8", "replace")


def _copy(source: object, sender: Process | None, receiver: Process) -> None:
    """Move all bytes; PipeError when the receiver goes away before the end."""
    try:
        if sender:
            sender.stdin.close()
            shutil.copyfileobj(sender.stdout, receiver.stdin, CHUNK)
        elif isinstance(source, Path):
            with source.open("rb") as file:
                shutil.copyfileobj(file, receiver.stdin, CHUNK)
        receiver.stdin.close()
    except (BrokenPipeError, ConnectionResetError):
        receiver.check()
        raise PipeError(f"{' '.join(receiver.argv[:3])} on {receiver.place.name} ended too early") from None
