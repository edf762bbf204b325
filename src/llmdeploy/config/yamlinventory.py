"""The shape of a YAML inventory, checked before Ansible reads it.

Ansible only warns about what it does not expect, skips it, and says no line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from llmdeploy.config.marks import dotted
from llmdeploy.config.nearest import did_you_mean
from llmdeploy.config.textfile import refuse
from llmdeploy.config.tree import Node
from llmdeploy.config.yamltree import read_tree
from llmdeploy.errors import ConfigError, Problem

_TAGS = frozenset({"!vault", "!vault-encrypted", "!unsafe"})
_SECTIONS = ("hosts", "children", "vars")
_VARIABLES = re.compile(r"(^|\.)vars(\.|$)|(^|\.)hosts\.[^.]")  # may hold any data, with keys of any type


def check_yaml(text: str, file: str, hint: str) -> None:
    """Raises ConfigError with all that is wrong with the YAML inventory `text`; `hint` is for dynamic ones."""
    tree, found = read_tree(text, file, _TAGS)
    plugin = tree.child("plugin")
    if plugin and not plugin.children:
        why = "configures an inventory plugin; only static inventories are read"
        raise refuse(file, plugin.mark.line, why, hint)
    problems = [problem for problem in found if not _VARIABLES.search(problem.path)]
    for group in tree.children.values():
        problems += _group(group)
    if not tree.children and not problems:
        problems.append(Problem(file, 0, "", "", "no host in it", "name groups, and hosts in them"))
    if problems:
        raise ConfigError(problems)


def _group(group: Node) -> Iterator[Problem]:
    if group.value is None:
        return
    if not isinstance(group.value, dict):
        yield _problem(group, "a group must be a mapping with hosts, children or vars")
    for name, section in group.children.items():
        if name not in _SECTIONS:
            yield _problem(section, "unknown key in a group", did_you_mean(name, _SECTIONS))
        elif section.value is not None and not isinstance(section.value, (dict, str)):
            yield _problem(section, f"`{name}` must be a mapping, one `name:` line each")
        elif name != "vars":
            for child in section.children.values():
                yield from _group(child) if name == "children" else _host(child)


def _host(host: Node) -> Iterator[Problem]:
    if host.value is not None and not isinstance(host.value, dict):
        yield _problem(host, "variables of a host must be a mapping")


def _problem(node: Node, why: str, hint: str = "") -> Problem:
    return Problem(node.mark.file, node.mark.line, dotted(node.path), node.written(), why, hint)
