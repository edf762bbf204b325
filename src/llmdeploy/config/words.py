"""What is wrong with a value, in plain words instead of pydantic's."""

from __future__ import annotations

import re
from typing import Any

from llmdeploy.config.kinds import known_keys
from llmdeploy.config.marks import KeyPath
from llmdeploy.config.nearest import did_you_mean, nearest
from llmdeploy.config.normal import HOST_VARIABLES

# Error types of pydantic; names in braces come from the error's context.
_WHY = {
    "missing": "is missing",
    "extra_forbidden": "unknown key",
    "string_type": "must be text",
    "string_too_short": "must not be empty",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "is too large a number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a number",
    "list_type": "must be a list",
    "dict_type": "must be a mapping, `key: value` lines",
    "model_type": "must be a mapping, `key: value` lines",
    "greater_than": "must be more than {gt:g}",
    "greater_than_equal": "must be at least {ge:g}",
    "less_than": "must be less than {lt:g}",
    "less_than_equal": "must be at most {le:g}",
    "too_short": "must not be empty",
    "literal_error": "must be one of {expected}",
    "value_error": "{error}",
}
# Values that may be of several kinds: pydantic reports one error per kind, people want one sentence.
_BY_KEY = {
    "published": "must be true, false, or the port number to answer on, 1 to 65535",
    "memory": "must be a memory size, at least 4MB and no more than hosts have, such as 512MB or 4GB",
    "number": "must be a port number, 1 to 65535",
    "port": "must be a port number, 1 to 65535",
}
_NAME = "must be a name: lower-case letters, digits and hyphens, at most 63, no hyphen at either end"
_PATTERNS = {
    r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$": _NAME,
    r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$": "must be a group name: letters, digits, `-`, `_` and `.`",
    r"^[a-z][a-z0-9_]{0,25}$": "must be a secret's name: lower-case letters, digits, `_`, at most 26, a letter first",
    r"^[a-z][a-z0-9_]{0,25}(\.pub|\.crt)?$": "must be the name of a secret, or its NAME.pub or NAME.crt",
    r"^[A-Za-z0-9][A-Za-z0-9_.-]*$": "must be a file's name: letters, digits, `-`, `_` and `.`",
    r"^[A-Za-z_][A-Za-z0-9_]*$": "must be the name of an environment variable",
    r"^[A-Z][A-Z_]+$": "must be a Linux capability without CAP_, such as NET_ADMIN",
    r"^/[^:]*$": "must be an absolute path, starting with /",
    r"^0[0-7]{3}$": 'must be a mode such as "0400"',
    r"^\d{1,10}$": "must be a number in quotes",
    r"^/\S*$": "must start with / and hold no spaces",
    r"^/": "must be an absolute path, starting with /",
    r"^[A-Za-z0-9][A-Za-z0-9._:/@-]*$": "must be an image, such as registry.example/team/app:1.2",
    r"^[a-zA-Z0-9][a-zA-Z0-9_.-]*$": "must be a name: letters, digits, `-`, `_` and `.`",
    r"^\d+\.\d+\.\d+\.\d+/\d+$": "must be a subnet such as 10.20.0.0/16",
    r"^\d+[kmg]$": "must be a size such as 10m",
}
_EXACT = frozenset({"value_error", "extra_forbidden", "missing", "model_type"})


def explain(error: Any, path: KeyPath, extra: KeyPath) -> tuple[str, str]:
    """Why and hint of one pydantic `error` at `path`; `extra` is what pydantic adds for keys and union members."""
    if "[key]" in extra:
        return _NAME, ""
    return _why(error["type"], error.get("ctx", {}), path) or error["msg"], _hint(error, path)


def _why(kind: str, context: dict[str, Any], path: KeyPath) -> str:
    key = next((part for part in reversed(path) if isinstance(part, str)), "")
    if kind == "string_pattern_mismatch":
        return _PATTERNS.get(context["pattern"], f"does not have the form {context['pattern']}")
    if kind not in _EXACT and "environment" in path[-2:-1]:
        return "must be one value: text, a number, true or false"
    if kind not in _EXACT and key in _BY_KEY:
        return _BY_KEY[key]
    if kind == "literal_error":
        return "must be one of " + ", ".join(_choices(context))
    return _WHY.get(kind, "").format(**context)


def _hint(error: Any, path: KeyPath) -> str:
    if error["type"] == "literal_error":
        found = nearest(str(error["input"]), _choices(error["ctx"]))
        return f"did you mean `{found}`?" if found else ""
    if error["type"] != "extra_forbidden":
        return ""
    key = str(path[-1])
    if len(path) == 1 and key.startswith(HOST_VARIABLES):
        return "variables of hosts belong in the inventory"
    return did_you_mean(key, known_keys(path[:-1]) or [])


def _choices(context: dict[str, Any]) -> list[str]:
    return re.findall(r"'([^']*)'", context["expected"])
