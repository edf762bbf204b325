"""What was probably meant."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

# Words from other tools that people write by habit; too far from ours for a spelling match.
_SYNONYMS = {
    "env": "environment",
    "healthcheck": "health",
    "cmd": "command",
    "args": "command",
    "needs": "depends_on",
    "requires": "depends_on",
    "mem": "memory",
    "mem_limit": "memory",
    "expose": "ports",
    "hosts": "group",
    "scale": "replicas",
}


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The one of `known` that `word` probably stands for, or None."""
    choices = list(known)
    synonym = _SYNONYMS.get(word.lower())
    if synonym in choices:
        return synonym
    lower = {choice.lower(): choice for choice in choices}
    found = get_close_matches(word.lower()[:100], list(lower), n=1, cutoff=0.6)
    return lower[found[0]] if found else None


def did_you_mean(word: str, known: Iterable[str], *, otherwise: str = "known: ") -> str:
    """A hint: the nearest of `known`, or all of them when none is near (or nothing when there is none)."""
    choices = sorted(set(known))
    found = nearest(word, choices)
    if found:
        return f"did you mean `{found}`?"
    if not choices:
        return ""
    more = ", …" if len(choices) > 12 else ""
    return otherwise + ", ".join(choices[:12]) + more
