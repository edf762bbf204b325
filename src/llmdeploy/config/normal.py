"""One spelling for what may be written in several, done before the layers are merged."""

from __future__ import annotations

from dataclasses import replace

from llmdeploy.config.marks import KeyPath
from llmdeploy.config.tree import Node

_TEXTS = frozenset({"environment", "args", "headers"})
HOST_VARIABLES = ("ansible_", "llmdeploy_")


def normal(document: Node) -> Node:
    """`document` with `build: folder` as a mapping, texts as written, and empty services as empty mappings."""
    entries = {key: _section(key, node) for key, node in document.children.items()}
    return replace(document, value=entries)


def split_host_variables(document: Node) -> Node:
    """The catalogue without its host variables: Ansible reads the same file as group_vars of all hosts."""
    entries = {key: node for key, node in document.children.items() if not key.startswith(HOST_VARIABLES)}
    return replace(document, value=entries)


def _section(key: str, node: Node) -> Node:
    if key == "services":
        services = {name: _container(_filled(child)) for name, child in node.children.items()}
        return _filled(replace(node, value=services) if node.children else node)
    if key in ("edge", "defaults"):
        return _container(node)
    return _texts(node, (key,))


def _filled(node: Node) -> Node:
    return replace(node, value={}) if node.empty else node


def _container(node: Node) -> Node:
    build = node.child("build")
    if build and isinstance(build.value, str):
        node = node.having(build=replace(build, value={"context": build}, text=""))
    return _texts(node, ())


def _texts(node: Node, path: KeyPath) -> Node:
    """Values of text mappings as they stand in the file: `VERSION: 1.10` is no number, `FOO:` is empty."""
    if isinstance(node.value, list):
        return replace(node, value=[_texts(item, path) for item in node.value])
    if not node.children:
        return node
    entries = {}
    for key, child in node.children.items():
        entries[key] = _as_texts(child) if key in _TEXTS and child.children else _texts(child, (*path, key))
    return replace(node, value=entries)


def _as_texts(node: Node) -> Node:
    def text(child: Node) -> Node:
        is_scalar = not isinstance(child.value, (dict, list))
        return replace(child, value=child.text) if is_scalar and (child.empty or child.value is not None) else child

    return replace(node, value={key: text(child) for key, child in node.children.items()})
