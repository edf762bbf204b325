"""Words and signs shared by the views. Pure. A state is always a sign *and* a word; colour only comes on top."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Look(NamedTuple):
    """How a state looks: a sign, the same for terminals without Unicode, a style of rich."""

    sign: str
    ascii: str
    style: str


SERVICE: dict[str, Look] = {
    "waiting": Look("·", ".", "dim"),
    "starting": Look("▸", ">", "cyan"),
    "canary": Look("◐", "c", "cyan"),
    "healthy": Look("●", "o", "cyan"),
    "answering": Look("●", "o", "cyan"),
    "done": Look("✓", "+", "green"),
    "unchanged": Look("=", "=", "green"),
    "failed": Look("✗", "x", "bold red"),
    "blocked": Look("∅", "-", "yellow"),
    "removed": Look("-", "-", "magenta"),
}
# On the way back the same states have other words: of what failed, and of what serves again.
BACK: dict[str, tuple[str, Look]] = {
    "starting": ("going back", Look("◂", "<", "cyan")),
    "done": ("back", Look("✓", "+", "green")),
    "failed": ("stuck", Look("✗", "x", "bold red")),
}
HOST: dict[str, Look] = {
    "running": Look("▸", ">", "cyan"),
    "ok": Look("✓", "+", "green"),
    "skipped": Look("✓", "+", "dim"),
    "changed": Look("✓", "+", "green"),
    "failed": Look("✗", "x", "bold red"),
    "unreachable": Look("✗", "x", "bold red"),
}
LEVEL: dict[str, Look] = {
    "error": Look("✗", "x", "bold red"),
    "warning": Look("!", "!", "yellow"),
    "info": Look("·", ".", ""),
    "debug": Look("·", ".", "dim"),
}
ACTION: dict[str, Look] = {
    "create": Look("+", "+", "green"),
    "change": Look("~", "~", "yellow"),
    "unchanged": Look("=", "=", "dim"),
    "remove": Look("-", "-", "red"),
}
INDENT = 8  # of what belongs to the line above it
OTHER = Look("·", ".", "")
VERDICT: dict[str, Look] = {
    "running": Look("▸", ">", "cyan"),
    "open": Look("!", "!", "yellow"),
    "good": Look("✓", "+", "green"),
    "failed": Look("✗", "x", "bold red"),
    "rolled back": Look("◂", "<", "yellow"),
    "interrupted": Look("!", "!", "yellow"),
}
FINISHED = ("done", "unchanged", "removed")
ENDED = (*FINISHED, "failed", "blocked")


def state_of(state: str, *, back: bool = False) -> tuple[str, Look]:
    """Out: the word and the look of a service's state, `back`: on the way back."""
    usual = (state, SERVICE.get(state, OTHER))
    return BACK.get(state, usual) if back else usual


def seconds(value: float) -> str:
    """In: seconds. Out: 0.4 s, 12 s, 1:05, 1:02:03."""
    if value < 9.95:
        return f"{max(value, 0.0):.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def clock(value: float) -> str:
    """In: seconds. Out: 0:04, 12:01, 1:02:03: a fixed form for headers and time stamps."""
    minutes, rest = divmod(int(max(value, 0.0)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def count(number: int, noun: str, plural: str = "") -> str:
    """Out: "1 service", "3 services"."""
    return f"{number} {noun if number == 1 else plural or noun + 's'}"


def names(items: Iterable[str], most: int = 6) -> str:
    """Out: names in one line, the rest counted."""
    listed = list(items)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


def one_line(text: str) -> str:
    """Out: the text without its line breaks."""
    return " ".join(text.split())


def short_image(image: str) -> str:
    """Out: the image without its registry's long digest."""
    name, _, digest = image.partition("@")
    if not digest and name.startswith("sha256:"):
        name, digest = "", name
    return f"{name}{'@' if name and digest else ''}{digest.removeprefix('sha256:')[:12]}"
