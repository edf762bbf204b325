"""The log of one run: a file a person can read, and everything Ansible printed in a second one.

Both are private (0600 in 0700) and redacted. Only the newest runs are kept.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TextIO

from llmdeploy.events import harmless

KEEP = 100
_SUFFIX, _ANSIBLE_SUFFIX = ".log", ".ansible.txt"


class RunLog:
    """Open log files of one run in a folder of the caller's choice.

    `path` is for people; write to it through `stream` (a view does) or `line`. `ansible` takes Ansible's own output.
    Nothing here raises after the files are open: a full disk must not end a release.
    """

    def __init__(self, folder: Path, stem: str, *, redact: Callable[[str], str] = str, keep: int = KEEP) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._redact = redact
        self.path = folder / f"{stem}{_SUFFIX}"
        self.ansible_path = folder / f"{stem}{_ANSIBLE_SUFFIX}"
        self.stream: TextIO = _private(self.path)
        self._ansible = _private(self.ansible_path)
        _prune(folder, keep)

    def line(self, text: str) -> None:
        """Appends one line for people."""
        _write(self.stream, f"{self._redact(harmless(text))}\n")

    def ansible(self, text: str) -> None:
        """Appends output of ansible-playbook."""
        _write(self._ansible, f"{self._redact(harmless(text)).rstrip()}\n")

    def close(self) -> None:
        """Closes both files."""
        for stream in (self.stream, self._ansible):
            with contextlib.suppress(OSError, ValueError):
                stream.close()

    def __enter__(self) -> RunLog:
        return self

    def __exit__(self, *error: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()


def _private(path: Path) -> TextIO:
    """Line-buffered, so that `tail -f` shows what is going on."""
    path.touch(mode=0o600)
    return path.open("a", encoding="utf-8", buffering=1, errors="replace")


def _write(stream: TextIO, text: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        stream.write(text)


def _prune(folder: Path, keep: int) -> None:
    with contextlib.suppress(OSError):
        logs = sorted(folder.glob(f"*{_SUFFIX}"), key=lambda path: path.stat().st_mtime, reverse=True)
        for old in logs[keep:]:
            old.unlink()
            old.with_name(old.name.removesuffix(_SUFFIX) + _ANSIBLE_SUFFIX).unlink(missing_ok=True)
