"""What a rule is, and how groups of them become the YAML that Prometheus reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import yaml

RUNBOOKS = "docs/runbooks"  # of llmdeploy itself; `monitoring.alerts.runbooks` says where people find them
Severity = Literal["page", "ticket", "none"]


@dataclass(frozen=True)
class Record:
    """A series that is computed beforehand: its name, its PromQL, labels that it gets beside its own."""

    name: str
    expr: str
    labels: Mapping[str, str] = field(default_factory=dict)

    def as_rule(self, _runbooks: str = RUNBOOKS) -> dict[str, Any]:
        """The rule as Prometheus reads it."""
        rule: dict[str, Any] = {"record": self.name, "expr": _tidy(self.expr)}
        return {**rule, "labels": dict(self.labels)} if self.labels else rule


@dataclass(frozen=True)
class Alert:
    """Something that somebody should know.

    for_         how long `expr` must give something, such as 5m; "" for at once
    severity     page: act now; ticket: within days; none: for machines (the watchdog)
    summary      one line with Prometheus' templates, such as {{ $labels.service }}
    labels       beside those of the expression, such as service="loki"
    """

    name: str
    expr: str
    for_: str
    severity: Severity
    summary: str
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    def as_rule(self, runbooks: str = RUNBOOKS) -> dict[str, Any]:
        """The rule as Prometheus reads it. `runbooks`: what comes before the name of its runbook."""
        told = {"summary": self.summary, "runbook_url": f"{runbooks}/{self.name}.md"}
        if self.description:
            told["description"] = self.description
        return {
            "alert": self.name,
            "expr": _tidy(self.expr),
            **({"for": self.for_} if self.for_ else {}),
            "labels": {"severity": self.severity, **self.labels},
            "annotations": told,
        }


Rule = Record | Alert


@dataclass(frozen=True)
class Group:
    """Rules that are evaluated one after the other, so that a later one sees what an earlier one has recorded.

    interval  between two evaluations; "" for Prometheus' own
    """

    name: str
    rules: Sequence[Rule]
    interval: str = ""

    def as_group(self, runbooks: str = RUNBOOKS) -> dict[str, Any]:
        """The group as Prometheus reads it."""
        head = {"name": self.name, **({"interval": self.interval} if self.interval else {})}
        return {**head, "rules": [rule.as_rule(runbooks) for rule in self.rules]}


def rule_file(groups: Sequence[Group], runbooks: str = RUNBOOKS) -> str:
    """The text of one rule file; groups without rules are left out. `runbooks`: where they are found."""
    return yaml.safe_dump(
        {"groups": [group.as_group(runbooks) for group in groups if group.rules]},
        sort_keys=False,
        allow_unicode=True,
        width=1000,
    )


def _tidy(expr: str) -> str:
    return " ".join(expr.split())
