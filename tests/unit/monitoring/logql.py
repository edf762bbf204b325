"""A structural check of LogQL: what can be told without Loki's own parser, which no registry has for Python."""

from __future__ import annotations

import re

from tests.unit.monitoring.promql import plain

# Stages of a pipeline, Loki's documentation, "Log queries"; a label filter begins with a label.
_STAGE = re.compile(
    r"""(json|logfmt|unpack|decolorize)(\s+\w+(\s*=\s*"[^"]*")?(\s*,\s*\w+\s*=\s*"[^"]*")*)?$
    |(regexp|pattern|line_format)\s+S$
    |label_format\s+\w+\s*=\s*(S|\w+)$
    |(drop|keep)\s+\w+(\s*,\s*\w+)*$
    |unwrap\s+\w+$
    |\w+\s*(=~|!~|!=|==|=|>=|<=|>|<)\s*(S|[\d.]+[a-z]*)(\s+(and|or)\s+\w+\s*(=~|!~|!=|==|=|>=|<=|>|<)\s*(S|[\d.]+[a-z]*))*$
    """,
    re.VERBOSE,
)
_MATCHER = re.compile(r"\s*\w+\s*(=~|!~|!=|=)\s*S\s*$")
_FUNCTIONS = {
    "rate", "count_over_time", "bytes_rate", "bytes_over_time", "sum_over_time", "avg_over_time", "max_over_time",
    "min_over_time", "sum", "avg", "max", "min", "count", "topk", "by", "without",
}  # fmt: skip
_UNWRAPPED = {"sum_over_time", "avg_over_time", "max_over_time", "min_over_time"}


class LogqlError(ValueError):
    """A query that Loki would refuse."""


def check(expr: str) -> None:
    """Raises LogqlError where brackets do not match, a selector or a stage is none, or a range is missing."""
    bare = _without_strings(plain(expr))
    _balanced(bare)
    selectors = list(re.finditer(r"\{([^{}]*)\}", bare))
    if not selectors:
        raise LogqlError(f"no stream selector: {expr}")
    for found in selectors:
        _selector(found[1], expr)
    metric = bare.lstrip()[0] != "{"
    unknown = set(re.findall(r"([a-z_]\w*)\s*\(", bare)) - _FUNCTIONS
    if unknown:
        raise LogqlError(f"unknown functions {sorted(unknown)}: {expr}")
    for found in selectors:
        _pipeline(bare[found.end() :], metric=metric, expr=expr)
    if metric and len(re.findall(r"\[\d+[smhd]\]", bare)) != len(selectors):
        raise LogqlError(f"each selector of a metric query has one range: {expr}")
    if metric and any(re.search(rf"\b{name}\b", bare) for name in _UNWRAPPED) and "unwrap" not in bare:
        raise LogqlError(f"nothing is unwrapped: {expr}")


def _without_strings(expr: str) -> str:
    """Every string literal replaced by S. Raises LogqlError for one without an end."""
    bare = re.sub(r'"(?:\\.|[^"\\])*"|`[^`]*`', " S ", expr)
    if '"' in bare or "`" in bare:
        raise LogqlError(f"a string does not end: {expr}")
    return bare


def _balanced(bare: str) -> None:
    open_ones: list[str] = []
    for char in bare:
        if char in "([{":
            open_ones.append({"(": ")", "[": "]", "{": "}"}[char])
        elif char in ")]}" and (not open_ones or open_ones.pop() != char):
            raise LogqlError(f"brackets do not match: {bare}")
    if open_ones:
        raise LogqlError(f"brackets are left open: {bare}")


def _selector(inside: str, expr: str) -> None:
    matchers = inside.split(",")
    if not all(_MATCHER.match(matcher) for matcher in matchers):
        raise LogqlError(f"no selector: {{{inside}}} in {expr}")


def _pipeline(rest: str, *, metric: bool, expr: str) -> None:
    """`rest`: what stands behind a selector; of a metric query until its range."""
    text = rest.partition("[")[0] if metric else rest
    text = text.strip()
    while found := re.match(r"(\|~|\|=|!~|!=)\s+S\b\s*", text):  # line filters
        text = text[found.end() :]
    if text and not text.startswith("|"):
        raise LogqlError(f"{text!r} follows a selector: {expr}")
    for stage in text.split("|")[1:]:
        given = (
            re.sub(r"\bS\b(?=\s*(,|$))", '"s"', stage.strip())
            if re.match(r"\s*(json|logfmt)", stage)
            else stage.strip()
        )
        if not _STAGE.match(given.strip()):
            raise LogqlError(f"{stage.strip()!r} is no stage: {expr}")
