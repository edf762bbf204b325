"""Overrides of what does not exist: misspelt services of an environment file, misspelt keys taken away by `null`."""

from __future__ import annotations

from dataclasses import replace

from llmdeploy.config.kinds import known_keys
from llmdeploy.config.marks import KeyPath, dotted
from llmdeploy.config.nearest import did_you_mean, nearest
from llmdeploy.config.tree import Node
from llmdeploy.errors import Problem

Removed = list[tuple[KeyPath, Node]]


def set_aside(tree: Node, removed: Removed, known: frozenset[str]) -> tuple[Node, list[Problem]]:
    """`tree` without services that are neither in the catalogue (`known`) nor complete, a problem for each.

    An environment may add a service. One that lacks something, or that only fine-tunes what `defaults` gives
    and has nearly the name of another, is taken for a misspelt override.
    """
    services = tree.child("services")
    problems = [
        _no_service(str(path[1]), node, known)
        for path, node in removed
        if path[0] == "services" and len(path) == 2 and path[1] not in known
    ]
    if services is None:
        return tree, problems
    kept = {}
    for name, node in services.children.items():
        lacks = [] if name in known or not isinstance(node.value, dict) else _lacks(node)
        if name not in known and nearest(name, known) and (lacks or not _says_what_it_is(node)):
            problems.append(_no_service(name, node, known))
        elif lacks:
            problems.append(_incomplete(name, node, lacks, known))
        else:
            kept[name] = node
    return tree.having(services=replace(services, value=kept)) if problems else tree, problems


def check_removed(removed: Removed) -> list[Problem]:
    """Problems of keys that `null` should take away but that cannot exist: a typing mistake, not a wish."""
    problems = []
    for path, node in removed:
        keys = known_keys(path[:-1])
        if keys is not None and path[-1] not in keys:
            hint = did_you_mean(str(path[-1]), keys)
            problems.append(_problem(node, "unknown key", hint, node.text))
    return problems


def _lacks(node: Node) -> list[str]:
    lacks = [] if node.child("group") else ["group"]
    return lacks if node.child("image") or node.child("build") else [*lacks, "image or build"]


def _says_what_it_is(node: Node) -> bool:
    own = {key for key, child in node.children.items() if child.path[:1] == ("services",)}
    return bool(own & {"group", "image", "build"}) or not isinstance(node.value, dict)


def _no_service(name: str, node: Node, known: frozenset[str]) -> Problem:
    return _problem(node, f"no service `{name}` in the catalogue", did_you_mean(name, known))


def _incomplete(name: str, node: Node, lacks: list[str], known: frozenset[str]) -> Problem:
    why = f"`{name}` is not in the catalogue and, as a new service, lacks {' and '.join(lacks)}"
    return _problem(node, why, did_you_mean(name, known, otherwise="services of the catalogue: "))


def _problem(node: Node, why: str, hint: str, value: str = "") -> Problem:
    return Problem(node.mark.file, node.mark.line, dotted(node.path), value, why, hint)
