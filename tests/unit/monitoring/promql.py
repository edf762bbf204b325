"""PromQL of dashboards for tests: without Grafana's variables, and which metrics it reads."""

from __future__ import annotations

import re

_VARIABLES = {"$__rate_interval": "1m", "$__interval": "1m", "$__auto": "1m", "$__range": "1h"}
_KEYWORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "bool", "offset"}
_NAMELESS = r"\b(?:by|without|on|ignoring|group_left|group_right) *\([^)]*\)"  # lists of labels


def plain(expr: str) -> str:
    """The query as Grafana sends it, with some value for each variable."""
    for name, value in _VARIABLES.items():
        expr = expr.replace(name, value)
    return re.sub(r"\$\w+", "one", expr)


def metrics(expr: str) -> set[str]:
    """The names of the metrics that a query reads."""
    bare = re.sub(r'"(?:\\.|[^"\\])*"', "", plain(expr))
    bare = re.sub(r"\{[^}]*\}|\[[^]]*\]", " ", bare)
    bare = re.sub(_NAMELESS, " ", bare)
    words = re.findall(r"(?<![\w.])([a-zA-Z_:][\w:]*)\b(?! *\()", bare)
    return {word for word in words if word.lower() not in _KEYWORDS}
