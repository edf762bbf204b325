"""Where a value was written: key paths and marks."""

from __future__ import annotations

from dataclasses import dataclass

KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file; `line` counts from 1, 0 stands for the whole file (or for no file: `default`, `--set`)."""

    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


DEFAULT = Mark("default")


def dotted(path: KeyPath) -> str:
    """`path` as people write it: `services.gateway.ports[0].number`."""
    text = ""
    for key in path:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text
