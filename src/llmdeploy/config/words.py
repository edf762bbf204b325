"""What is wrong with a value, in plain words instead of pydantic's."""

from __future__ import annotations

import re
from typing import Any

from llmdeploy.config.kinds import known_keys
from llmdeploy.config.marks import KeyPath
from llmdeploy.config.nearest import did_you_mean

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
    "memory": "must be a memory size of at least 4MB, such as 512MB or 4GB",
    "number": "must be a port number, 1 to 65535",
    "port": "must be a port number, 1 to 65535",
    "environment": "must be one value: text, a number, true or false",
}
_NAME = "must be a name: lower-case letters, digits and hyphens, at most 63, no hyphen at either end"
_PATTERNS = {
    r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$": _NAME,
    r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$": "must be a group name: letters, digits, `-`, `_` and `.`",
    r"^/\S*$": "must start with / and hold no spaces",
    r"^/": "must be an absolute path, starting with /",
    r"^\S+$": "must not hold spaces",
    r"^[a-zA-Z0-9][a-zA-Z0-9_.-]*$": "must be a name: letters, digits, `-`, `_` and `.`",
    r"^\d+\.\d+\.\d+\.\d+/\d+$": "must be a subnet such as 10.20.0.0/16",
    r"^\d+[kmg]$": "must be a size such as 10m",
}
_EXACT = frozenset({"value_error", "extra_forbidden", "missing", "model_type"})


def explain(error: Any, path: KeyPath, extra: KeyPath) -> tuple[str, str]:
    """Why and hint of one pydantic `error` at `path`; `extra` is what pydantic adds for keys and union members."""
    kind, context = error["type"], error.get("ctx", {})
    key = next((part for part in reversed(path) if isinstance(part, str)), "")
    parent = path[-2] if len(path) > 1 else ""
    if "[key]" in extra:
        return _NAME, ""
    if kind == "extra_forbidden":
        return _WHY[kind], did_you_mean(str(path[-1]), known_keys(path[:-1]) or [])
    if kind == "string_pattern_mismatch":
        return _PATTERNS.get(context["pattern"], f"does not have the form {context['pattern']}"), ""
    if kind not in _EXACT and (key in _BY_KEY or parent == "environment"):
        return _BY_KEY.get(key, _BY_KEY["environment"]), ""
    if kind == "literal_error":
        return _one_of(error, context["expected"])
    why = _WHY.get(kind)
    return (why.format(**context) if why else error["msg"]), ""


def _one_of(error: Any, expected: str) -> tuple[str, str]:
    choices = re.findall(r"'([^']*)'", expected)
    hint = did_you_mean(str(error["input"]), choices, otherwise="")
    return "must be one of " + ", ".join(choices), hint if "did" in hint else ""
