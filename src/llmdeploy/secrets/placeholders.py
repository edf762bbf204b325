"""Values that are none. Pure."""

from __future__ import annotations

import re

_WORDS = frozenset(
    {
        "admin", "password", "passwd", "changeme", "replaceme", "fixme", "secret", "default", "test", "example", "todo",
        "letmein", "none", "null",
    }
)  # fmt: skip
_SHAPES = re.compile(r"x{3,}|123456(7(8(90?)?)?)?|<[^<>]*>|\$\{[^{}]*\}|\{\{.*\}\}", re.IGNORECASE)
_JOINTS = re.compile(r"[-_. ]")


def is_placeholder(part: str, value: str) -> bool:
    """Whether `value` is empty, a word that stands for a value, a template nobody has filled in, or its own name."""
    text = value.strip().lower()
    word = _JOINTS.sub("", text)
    own = {_JOINTS.sub("", name) for name in (part, part.split(".", 1)[0])}
    return not text or word in _WORDS | own or _SHAPES.fullmatch(text) is not None
