"""YAML → tree. Composes nodes instead of objects, so that every key and value keeps its line."""

from __future__ import annotations

import yaml

from llmdeploy.config.marks import KeyPath, Mark, dotted
from llmdeploy.config.scalars import read_scalar
from llmdeploy.config.textfile import refuse
from llmdeploy.config.tree import Node
from llmdeploy.errors import Problem

MAX_NODES = 50_000  # after alias expansion: a few lines of nested aliases can stand for billions of values
MAX_DEPTH = 50
TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"


def read_tree(text: str, file: str, tags: frozenset[str] = frozenset()) -> tuple[Node, list[Problem]]:
    """The tree of `text`, called `file` in marks, and the problems that did not prevent building it.

    An empty text is an empty mapping. Values with one of `tags` are texts.
    Raises ConfigError when there is no usable tree at all: broken YAML, several documents, too deep, too large,
    or something other than a mapping at the top.
    """
    scan(text, file)
    try:
        root = yaml.compose(text, Loader=_LOADER)
    except yaml.YAMLError as error:
        raise _broken(error, text, file) from None
    if root is None or (isinstance(root, yaml.ScalarNode) and root.value == ""):
        return Node({}, Mark(file)), []
    if not isinstance(root, yaml.MappingNode):
        raise refuse(file, root.start_mark.line + 1, "the file must hold a mapping, `key: value` lines")
    return _Builder(file, tags).build(root)


def scan(text: str, file: str) -> None:
    """Look over the events of `text` without building anything; raises ConfigError as read_tree does.

    Composing recurses, in C too: a file of a hundred thousand brackets would overflow the stack.
    """
    depth = 0
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if depth > MAX_DEPTH:
                line = event.start_mark.line + 1 if event.start_mark else 0
                raise refuse(file, line, TOO_DEEP)
    except yaml.YAMLError as error:
        raise _broken(error, text, file) from None
    except UnicodeEncodeError:
        raise refuse(file, 0, "is not UTF-8 text") from None


def _broken(error: yaml.YAMLError, text: str, file: str) -> Exception:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or str(error)
    line = mark.line + 1 if mark else text.count("\n", 0, getattr(error, "position", 0)) + 1
    if "maximum nesting depth" in what:  # libyaml has a limit of its own, and looks ahead of our counting
        return refuse(file, line, TOO_DEEP)
    lines = text.splitlines() or [""]
    line = min(line, len(lines))  # an end that is missing is missed after the last line
    hint = "indent with spaces, not with tabs" if lines[line - 1].lstrip(" ").startswith("\t") else ""
    start = getattr(error, "context_mark", None)
    if start and start.line + 1 < line:
        what = f"{what} ({error.context}, begun on line {start.line + 1})"  # type: ignore[attr-defined]
    return refuse(file, line, f"broken YAML: {what}", hint)


class _Builder:
    """Turns composed nodes into a tree; collects problems and goes on."""

    def __init__(self, file: str, tags: frozenset[str]) -> None:
        self.file = file
        self._tags = tags
        self.problems: list[Problem] = []
        self._count = 0

    def build(self, root: yaml.Node) -> tuple[Node, list[Problem]]:
        node = self._node(root, Mark(self.file, root.start_mark.line + 1), ())
        return node, self.problems

    def _node(self, node: yaml.Node, mark: Mark, path: KeyPath) -> Node:
        self._count += 1
        if self._count > MAX_NODES or len(path) > MAX_DEPTH:
            raise refuse(self.file, mark.line, "too large once its aliases are expanded", path=dotted(path[:2]))
        if isinstance(node, yaml.ScalarNode):
            value, why = (node.value, "") if node.tag in self._tags else read_scalar(node)
            if why:
                self._note(mark.line, path, node.value, why)
            return Node(value, mark, path, node.value)
        kind = "map" if isinstance(node, yaml.MappingNode) else "seq"
        if node.tag != _TAG + kind and node.tag not in self._tags:
            self._note(mark.line, path, node.tag, f"the tag {_shown(node.tag)} is not allowed here")
        if isinstance(node, yaml.MappingNode):
            return Node(self._entries(node, path), mark, path)
        items = [
            self._node(item, Mark(self.file, item.start_mark.line + 1), (*path, index))
            for index, item in enumerate(node.value)
        ]
        return Node(items, mark, path)

    def _entries(self, mapping: yaml.MappingNode, path: KeyPath) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        for key, value in mapping.value:
            mark = Mark(self.file, key.start_mark.line + 1)
            if key.tag == _TAG + "merge":
                merged = {**self._merged(value, mark, path), **merged}
            elif not isinstance(key, yaml.ScalarNode) or key.tag != _TAG + "str":
                shown = key.value if isinstance(key, yaml.ScalarNode) else "a list or mapping"
                self._note(mark.line, path, shown, "the key is not text", "put the key in quotes")
            elif key.value in entries:
                first = entries[key.value].mark.line
                here = (*path, key.value)
                self._note(mark.line, here, "", f"the key is there twice, first on line {first}")
            else:
                entries[key.value] = self._node(value, mark, (*path, key.value))
        return {**merged, **entries}

    def _merged(self, value: yaml.Node, mark: Mark, path: KeyPath) -> dict[str, Node]:
        """What `<<: *anchor` stands for; of several anchors the first one wins."""
        sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
        merged: dict[str, Node] = {}
        for source in sources:
            if isinstance(source, yaml.MappingNode):
                merged = {**self._node(source, mark, path).children, **merged}
            else:
                self._note(mark.line, (*path, "<<"), "", "only mappings can be merged")
        return merged

    def _note(self, line: int, path: KeyPath, value: str, why: str, hint: str = "") -> None:
        self.problems.append(Problem(self.file, line, dotted(path), value[:60], why, hint))


def _shown(tag: str) -> str:
    return "!!" + tag.removeprefix(_TAG) if tag.startswith(_TAG) else tag
