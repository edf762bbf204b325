"""A configuration as a tree whose every node knows where it was written."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from llmdeploy.config.marks import DEFAULT, KeyPath, Mark

_LIKE_OTHERS = re.compile(r"(?i)|[\d.]+|true|false|yes|no|on|off|null|~")  # texts that need quotes to be text


@dataclass(frozen=True, slots=True)
class Node:
    """One value. `mark` is the line of its key (in a list: of the item), `path` its place in its own file.

    `text` is what stands in the file for a scalar, before YAML made a number or a boolean of it.
    """

    value: Any  # dict[str, Node], list[Node], or a scalar
    mark: Mark = DEFAULT
    path: KeyPath = ()
    text: str = field(default="", compare=False)

    @property
    def children(self) -> dict[str, Node]:
        """The entries of a mapping; nothing for anything else."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def empty(self) -> bool:
        """Whether nothing at all is written after the key (an explicit `null` is something)."""
        return self.value is None and not self.text

    def child(self, key: str | int) -> Node | None:
        """The node at `key`, or None."""
        if isinstance(key, str):
            return self.children.get(key)
        if isinstance(self.value, list) and 0 <= key < len(self.value):
            item: Node = self.value[key]
            return item
        return None

    def having(self, **entries: Node) -> Node:
        """A copy of this mapping with `entries` set."""
        return replace(self, value={**self.children, **entries})

    def written(self, limit: int = 60) -> str:
        """A scalar as written, on one line of at most `limit` characters.

        Of mappings and lists only the kind: what is in them may be secret.
        """
        if isinstance(self.value, (dict, list)):
            return "{…}" if isinstance(self.value, dict) else "[…]"
        text = " ".join(self.text.split())
        if isinstance(self.value, str) and _LIKE_OTHERS.fullmatch(text):
            return f'"{text}"'
        return text if len(text) <= limit else text[: limit - 1] + "…"


def plain(node: Node) -> Any:
    """The bare data of `node`: dicts, lists and scalars."""
    if isinstance(node.value, dict):
        return {key: plain(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [plain(child) for child in node.value]
    return node.value


def locate(root: Node, path: KeyPath) -> tuple[Node, KeyPath]:
    """The deepest node on the way along `path`, and what of `path` is left below it."""
    node = root
    for index, key in enumerate(path):
        below = node.child(key)
        if below is None:
            return node, path[index:]
        node = below
    return node, ()


def walk(node: Node, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Node]]:
    """Every node at and below `node` with its path from there, parents first."""
    yield path, node
    below = enumerate(node.value) if isinstance(node.value, list) else node.children.items()
    for key, child in below:
        yield from walk(child, (*path, key))
