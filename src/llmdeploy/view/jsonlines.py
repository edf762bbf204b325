"""`--json`: every event as one line, and at the end one envelope, for programs."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

from llmdeploy.errors import Exit
from llmdeploy.events import ACTED_ON, Event

VERSION = 1
STATUS: dict[Exit, str] = {
    Exit.DONE: "success",
    Exit.LOCKED: "locked",
    Exit.UNREACHABLE: "unreachable",
    Exit.ROLLED_BACK: "rolled_back",
    Exit.UNHEALTHY: "unhealthy",
    Exit.CHANGES: "changes",
    Exit.INTERRUPTED: "interrupted",
}


class JsonLinesView:
    """Writes events to `out`, one JSON object a line."""

    def __init__(self, out: TextIO) -> None:
        self._out = out

    def on_event(self, event: Event) -> None:
        """Writes one line."""
        self._out.write(f"{dumps(event.to_json())}\n")
        self._out.flush()

    def say(self, text: str) -> None:
        """Free text has no place here."""

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing to pause."""
        yield

    def close(self) -> None:
        """Nothing to close."""


def envelope(
    command: str, exit_code: Exit, data: Mapping[str, Any], errors: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Out: what `--json` ends with, the same shape for success and failure."""
    return {
        "llmdeploy": VERSION,
        "command": command,
        "status": STATUS.get(exit_code, "failed"),
        "exit_code": int(exit_code),
        "data": dict(data),
        "errors": [{"hint": "", **error} for error in errors],
    }


def dumps(value: Mapping[str, Any]) -> str:
    """Out: one line of JSON; what JSON does not know (paths, dates) becomes text."""
    return escaped(json.dumps(value, ensure_ascii=False, default=str))


def escaped(text: str) -> str:
    """In: JSON. Out: the same value, with what a terminal would act on written as `\\uXXXX`."""
    return ACTED_ON.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
