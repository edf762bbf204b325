"""Layers of configuration, laid over each other.

From the lowest to the highest:

1. the models' own defaults;
2. `defaults:` — the catalogue's, overridden by the environment's, overridden by `--set defaults.…` —
   for every service, also for services an environment adds;
3. what a service says itself: in the catalogue, overridden by the environment file, overridden by `--set`.

So a value that the catalogue gives a service explicitly stays above the environment's `defaults:`.
Everything else than services has layers 1, catalogue, environment, `--set`.

Mappings merge key by key; lists and single values replace. `null` takes away whatever the layers below gave,
`defaults:` included: the model's own default is back (`services.NAME: null` takes the service away).
A key with *nothing* after it, as when all its lines are commented out, leaves a mapping below untouched.
`image` of a higher layer replaces `build` of a lower one, and the other way round.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from llmdeploy.config.marks import DEFAULT, KeyPath
from llmdeploy.config.tree import Node, plain

_RIVALS = {"image": "build", "build": "image"}


def base() -> Node:
    """The lowest layer: what the models' defaults cannot say (a set `edge.image` must replace this build)."""
    context = Node("edge", DEFAULT, ("edge", "build", "context"), "edge")
    build = Node({"context": context}, DEFAULT, ("edge", "build"))
    return Node({"edge": Node({"build": build}, DEFAULT, ("edge",))})


def lay(layers: Iterable[Node]) -> Node:
    """All `layers`, lowest first, as one tree in which every service also has its `defaults:`.

    Removing `null`s stay in as nodes: see `prune`.
    """
    tree = base()
    for layer in layers:
        tree = merge(tree, layer)
    defaults, services = tree.child("defaults"), tree.child("services")
    if not services or not services.children:
        return tree
    below = defaults if defaults and defaults.children else Node({})
    full = {
        name: node if node.value is None else merge(below, node, ("services", name), above=True)
        for name, node in services.children.items()
    }
    return tree.having(services=replace(services, value=full))


def merge(lower: Node, upper: Node, path: KeyPath = (), *, above: bool = False) -> Node:
    """`upper` laid over `lower`. A merged mapping keeps the mark of the lower one, or with `above` of the upper."""
    if isinstance(lower.value, dict) and upper.empty:
        return lower
    if not (isinstance(lower.value, dict) and isinstance(upper.value, dict)):
        return upper
    entries = dict(lower.value)
    if _has_image(path):
        _drop_rivals(entries, upper)
    for key, node in upper.value.items():
        entries[key] = merge(entries[key], node, (*path, key), above=above) if key in entries else node
    return replace(upper if above or lower.mark == DEFAULT else lower, value=entries)


def prune(tree: Node) -> tuple[Node, list[tuple[KeyPath, Node]]]:
    """`tree` without the entries that are null, and those entries with their paths."""
    removed: list[tuple[KeyPath, Node]] = []
    return _prune(tree, (), removed), removed


def _prune(node: Node, path: KeyPath, removed: list[tuple[KeyPath, Node]]) -> Node:
    if isinstance(node.value, list):
        items = [_prune(item, (*path, index), removed) for index, item in enumerate(node.value)]
        return replace(node, value=items)
    if not isinstance(node.value, dict):
        return node
    kept = {}
    for key, child in node.value.items():
        if child.value is None:
            removed.append(((*path, key), child))
        else:
            kept[key] = _prune(child, (*path, key), removed)
    return replace(node, value=kept)


def _has_image(path: KeyPath) -> bool:
    """Whether `path` is a container: `image` and `build` mean something there (and not in an environment)."""
    return path in (("edge",), ("defaults",)) or (len(path) == 2 and path[0] == "services")


def _drop_rivals(entries: dict[str, Node], upper: Node) -> None:
    for key, rival in _RIVALS.items():
        given = upper.children.get(key)
        if given and plain(given) is not None and rival not in upper.children:
            entries.pop(rival, None)
