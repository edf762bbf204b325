"""Where each value of the effective configuration comes from."""

from __future__ import annotations

import re
from dataclasses import dataclass

from llmdeploy.config.marks import DEFAULT, KeyPath, Mark, dotted
from llmdeploy.config.tree import Node, locate
from llmdeploy.errors import Problem

# Values that may be passwords are never shown in a message.
_PRIVATE = frozenset({"environment", "headers", "args"})
_PRIVATE_KEY = re.compile(r"(?i)pass|secret|token|key|credential")


@dataclass(frozen=True)
class Origins:
    """Answers for the merged tree `root`."""

    root: Node

    def of(self, path: KeyPath) -> Mark:
        """Where the value at `path` was written.

        What is part of a written value has that value's place (`volumes[0].target` in `data:/data`); what
        was not written anywhere is `default`.
        """
        node, rest = locate(self.root, path)
        return DEFAULT if rest and isinstance(node.value, dict) else node.mark

    def near(self, path: KeyPath) -> Mark:
        """The place nearest to `path`: of the value, or of the mapping in which it is missing."""
        return locate(self.root, path)[0].mark

    def problem(self, path: KeyPath, why: str, hint: str = "", *, value: str | None = None) -> Problem:
        """A problem with the value at `path`; its place, written form and path in its own file are looked up."""
        node, rest = locate(self.root, path)
        missing = bool(rest) and isinstance(node.value, dict)
        where = (*node.path, *rest) if missing else node.path
        if value is None:
            value = "" if missing or _is_private(where) else node.written()
        return Problem(node.mark.file, node.mark.line, dotted(where), value, why, hint)


def _is_private(path: KeyPath) -> bool:
    return bool(_PRIVATE & set(path)) or bool(_PRIVATE_KEY.search(str(path[-1]) if path else ""))
