"""The progress of a release: typed lines, one JSON object each, appended by one writer and read by any number."""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from pathlib import Path
from typing import Any

Line = dict[str, Any]
FILE = "progress.jsonl"
_CONTROL = re.compile(r"\x1b\[[0-9;?]*[ -/]*[@-~]|[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def harmless(text: object) -> str:
    """Text of containers and daemons without terminal escapes and control characters."""
    return _CONTROL.sub("\ufffd", str(text).replace("\t", "    ").replace("\r\n", "\n").rstrip("\r"))


class Progress:
    """The writer. With no folder it only collects the lines (the fast path that leaves nothing behind)."""

    def __init__(self, folder: Path | None = None) -> None:
        self.lines: list[Line] = []
        self._file = (folder / FILE).open("a", encoding="utf-8") if folder else None

    def write(self, kind: str, *, sync: bool = False, **values: Any) -> None:
        """Append one line of `kind`; `sync` where it must survive the loss of the machine."""
        line = {"t": round(time.time(), 3), "kind": kind, **values}
        self.lines.append(line)
        if self._file:
            self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
            self._file.flush()
            if sync:
                os.fsync(self._file.fileno())


def read(folder: Path, offset: int = 0) -> tuple[list[Line], int]:
    """The complete lines after byte `offset`, and the offset to go on from."""
    try:
        with (folder / FILE).open("rb") as file:
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:
        return [], offset
    whole = data[: data.rfind(b"\n") + 1]
    return [json.loads(line) for line in whole.splitlines()], offset + len(whole)


def alive(folder: Path) -> bool:
    """Whether an engine works on this job: it keeps `pid` locked for as long as it lives, so no pid is mistaken."""
    try:
        with (folder / "pid").open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def follow(folder: Path, viewer: str, wait: float) -> list[Line]:
    """The lines `viewer` has not seen, as soon as there are any, none after `wait` seconds.

    A job whose engine died without a verdict ends with an `end` line made here.
    """
    seen = folder / f"viewer.{re.sub(r'[^A-Za-z0-9_.-]', '_', viewer)[:80]}"
    offset = int(seen.read_text()) if seen.exists() else 0
    until = time.monotonic() + wait
    while True:
        lives = alive(folder)  # asked before reading: what it wrote last is then there to read
        lines, offset = read(folder, offset)
        if not lives and not any(line["kind"] == "end" for line in lines):
            lines += [_last(folder)]
        if lines or time.monotonic() > until:
            seen.touch(mode=0o600)
            seen.write_text(str(offset))
            return lines
        time.sleep(0.1)


def _last(folder: Path) -> Line:
    """The verdict of a job without a living engine: the one it wrote, else that it died."""
    end = next((line for line in reversed(read(folder)[0]) if line["kind"] == "end"), None)
    return end or {
        "t": round(time.time(), 3), "kind": "end", "verdict": "failed", "exit": 1, "seconds": 0.0,
        "summary": "the release engine died without a verdict (killed, or its host went down): what it had started "
        "goes on by itself; deploy again to finish",
        "changed": [], "done": [], "untouched": [],
    }  # fmt: skip
