"""Tree → typed settings. What fails its shape is reported and left out, so that it hides nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError

from llmdeploy.config.marks import KeyPath
from llmdeploy.config.models import Service, Settings
from llmdeploy.config.origins import Origins
from llmdeploy.config.tree import Node, locate, plain
from llmdeploy.config.words import explain
from llmdeploy.errors import Problem

NO_GROUP = "x-none"  # stands in for a group that failed its shape, while the rest is checked


@dataclass
class Shaped:
    """What could be typed. `settings` is None when not even a part of it could."""

    settings: Settings | None
    problems: list[Problem]
    left_out: set[KeyPath] = field(default_factory=set)

    def whole(self, *path: str | int) -> bool:
        """Whether nothing at, above or below `path` was left out: it can be checked against other things."""
        return not any(out[: len(path)] == path[: len(out)] for out in self.left_out)


def shape(tree: Node, origins: Origins) -> Shaped:
    """The settings that `tree` holds, with a problem for everything that does not fit the models."""
    data = plain(tree)
    problems = _check_defaults(data, origins)
    shaped = Shaped(None, problems)
    fixed = False
    for _ in range(20):  # every round leaves something out; a round reports errors that others had hidden
        try:
            shaped.settings = Settings.model_validate(data)
            break
        except ValidationError as error:
            errors = error.errors(include_url=False)
        if not fixed:
            fixed = True
            if _take_texts(data, tree, errors):
                continue
        problems += [_problem(item, origins) for item in errors if not _is_settled(item, shaped)]
        paths = {_cut(item["loc"]) for item in errors}
        shaped.left_out |= paths
        inner_first = sorted(paths, key=len, reverse=True)
        if not any([_leave_out(data, path) for path in inner_first]):  # noqa: C419 - all of them, not the first
            break
    return shaped


def _check_defaults(data: dict[str, Any], origins: Origins) -> list[Problem]:
    """Problems inside `defaults:`, found also when every service overrides the value."""
    defaults = data.get("defaults")
    if not isinstance(defaults, dict):
        return []
    try:
        Service.model_validate({"group": NO_GROUP, **defaults})
    except ValidationError as error:
        found = error.errors(include_url=False)
        return [
            _problem({**item, "loc": ("defaults", *item["loc"])}, origins)
            for item in found
            if item["type"] not in ("missing", "string_type")
        ]
    return []


def _problem(error: Any, origins: Origins) -> Problem:
    _, rest = locate(origins.root, error["loc"])
    found = error["loc"][: len(error["loc"]) - len(rest)]
    is_missing = error["type"] == "missing"
    path = (*found, *rest) if is_missing else found
    why, hint = explain(error, path, rest)
    return origins.problem(path, why, hint)


def _is_settled(error: Any, shaped: Shaped) -> bool:
    """Whether `error` is only the consequence of something left out before."""
    return error["type"] in ("missing", "too_short") and not shaped.whole(*error["loc"])


def _take_texts(data: Any, tree: Node, errors: list[Any]) -> bool:
    """Where text is wanted and a number or a boolean is written, take it as written (`user: 1000`)."""
    changed = False
    for error in errors:
        node, rest = locate(tree, error["loc"])
        if error["type"] != "string_type" or rest or isinstance(node.value, (dict, list)):
            continue
        if node.value is not None:
            _holder(data, error["loc"])[error["loc"][-1]] = node.text
            changed = True
    return changed


def _holder(data: Any, path: KeyPath) -> Any:
    for key in path[:-1]:
        data = data[key]
    return data


def _cut(loc: KeyPath) -> KeyPath:
    """The smallest whole thing around `loc` that can be left out: a key of a service or of a section."""
    return loc[:3] if loc[0] == "services" else loc[:2]


def _leave_out(data: dict[str, Any], path: KeyPath) -> bool:
    """Take `path` out of `data`, or what is around it when it is not there; False when nothing is left to take."""
    if path[0] == "services" and path[2:] == ("group",) and isinstance(data["services"].get(path[1]), dict):
        data["services"][path[1]]["group"] = NO_GROUP
        return True
    while path:
        holder = _reach(data, path)
        if holder is not None:
            del holder[path[-1]]
            return True
        path = path[:-1]
    return False


def _reach(data: Any, path: KeyPath) -> Any:
    """The mapping that has `path`'s last key, or None."""
    for key in path[:-1]:
        if not isinstance(data, dict) or key not in data:
            return None
        data = data[key]
    return data if isinstance(data, dict) and path[-1] in data else None
