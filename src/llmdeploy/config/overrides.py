"""`--set services.gateway.replicas=3`: one value on the command line, as the highest layer."""

from __future__ import annotations

import re
from dataclasses import replace

from llmdeploy.config.marks import KeyPath, Mark, dotted
from llmdeploy.config.textfile import refuse
from llmdeploy.config.tree import Node
from llmdeploy.config.yamltree import read_tree
from llmdeploy.errors import ConfigError, Problem, UsageError

MARK = Mark("--set")
_EXAMPLE = "--set services.gateway.replicas=3"


def read_override(text: str) -> tuple[Node, list[Problem]]:
    """The layer that `text` (KEY.KEY=VALUE, the value in YAML) stands for, and its problems.

    Raises UsageError when it has no such form, ConfigError when the value is broken YAML.
    """
    key, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"--set {text}: no `=` in it", hint=f"for example {_EXAMPLE}")
    if re.search(r"\[|\.\d+(\.|$)", key):
        hint = "lists are replaced as a whole: --set 'services.gateway.depends_on=[billing]'"
        raise UsageError(f"--set {text}: a single item of a list cannot be set", hint=hint)
    path = tuple(part.strip() for part in key.split("."))
    if not all(path):
        raise UsageError(f"--set {text}: a key is empty", hint=f"for example {_EXAMPLE}")
    node, problems = _value(value, path)
    for part in reversed(path):
        node = Node({part: node}, MARK, node.path[:-1])
    return node, problems


def _value(text: str, path: KeyPath) -> tuple[Node, list[Problem]]:
    """`text` as YAML; read as the value of a one-line mapping so that it may be a scalar."""
    wrapped = f"value: {text.strip()}\n"
    if "\n" in text.strip():  # a block of YAML, given in quotes
        wrapped = "value:\n" + "".join(f"  {line}\n" for line in text.splitlines())
    try:
        tree, problems = read_tree(wrapped, MARK.file)
    except ConfigError as error:
        why = error.problems[0].why
        raise refuse(MARK.file, 0, why, path=dotted(path), value=text[:60]) from None
    if set(tree.children) != {"value"}:
        raise refuse(MARK.file, 0, "is not one YAML value", path=dotted(path), value=text[:60])
    return _moved(tree.children["value"], path), [_replaced(problem, path) for problem in problems]


def _replaced(problem: Problem, path: KeyPath) -> Problem:
    return replace(problem, line=0, path=problem.path.replace("value", dotted(path), 1))


def _moved(node: Node, path: KeyPath) -> Node:
    if isinstance(node.value, list):
        items = [_moved(item, (*path, index)) for index, item in enumerate(node.value)]
        return Node(items, MARK, path)
    if isinstance(node.value, dict):
        return Node({key: _moved(child, (*path, key)) for key, child in node.value.items()}, MARK, path)
    return Node(node.value, MARK, path, node.text)
