"""What a case of an alert is, and how cases become the file that promtool reads."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from llmdeploy.monitoring.rules import rule_groups
from llmdeploy.monitoring.rules.build import Alert
from llmdeploy.monitoring.scope import Scope
from tests.unit.catalogue import settings

HEALTHY_AT = "20m"
Series = Mapping[str, str]
Labels = Mapping[str, str]


@dataclass(frozen=True)
class Case:
    """A world of series (promtool's notation, one value a step), and which alerts fire in it after a while.

    fires  the labels of every alert of that name that fires; none of them: it must be silent
    """

    alert: str
    series: Series
    at: str
    fires: Sequence[Labels] = ()


@dataclass(frozen=True)
class Table:
    """The cases of one rule file, and a world in which nothing may even begin to fire.

    also  rule files whose rules it needs
    step  between two values, and between two evaluations
    """

    file: str
    cases: Sequence[Case]
    healthy: Series
    scope: Scope
    also: Sequence[str] = ()
    step: str = "1m"

    @property
    def files(self) -> list[str]:
        """Every rule file that is loaded, in the order of evaluation."""
        return [*self.also, self.file]


def scope(**monitoring: Any) -> Scope:
    """A stack of two services on two hosts, with TLS and everything that an alert can depend on."""
    made = settings(
        {
            "web": {"ports": [{"number": 8000, "protocol": "http", "published": True}], "replicas": 2},
            "store": {"ports": [{"number": 6379, "protocol": "tcp"}], "metrics": 9121},
            "job": {},
        },
        stack="llm",
        tls={"mode": "internal"},
        monitoring={
            "interval": 60, "docker_metrics": 9323, "alerts": {"daily_cost": 100, "error_budget": 0.01}, **monitoring
        },
    )  # fmt: skip
    return Scope("staging", made, {"a": "10.0.0.1", "b": "10.0.0.2"})


def promtool_test(table: Table) -> str:
    """The YAML of promtool for a table; the rule files are beside it."""
    known = rule_groups(table.scope)
    groups = [group for name in table.files for group in known[name]]
    alerts = {rule.name: rule for group in groups for rule in group.rules if isinstance(rule, Alert)}
    healthy = {
        "name": "healthy",
        "interval": table.step,
        "input_series": _input(table.healthy),
        "promql_expr_test": [_expect('ALERTS{alertname!="Watchdog"}', HEALTHY_AT, None)],
    }
    return yaml.safe_dump(
        {
            "rule_files": table.files,
            "evaluation_interval": table.step,
            "group_eval_order": [group.name for group in groups],
            "tests": [healthy, *(_test(case, alerts[case.alert], table.step) for case in table.cases)],
        },
        sort_keys=False,
    )


def _test(case: Case, alert: Alert, step: str) -> dict[str, Any]:
    own = f'alertname="{case.alert}",alertstate="firing"'
    # An annotation that names a label which the alert does not have would have a hole in it.
    text = re.sub(r"{{ with .*?{{ end }}", "", alert.summary + alert.description)
    used = sorted(set(re.findall(r"\$labels\.(\w+)", text)))
    checks = [_expect(f"count(ALERTS{{{own}}})", case.at, len(case.fires) or None)]
    for labels in case.fires:
        wanted = {**labels, "severity": alert.severity}
        told = ",".join([*(f'{name}="{value}"' for name, value in wanted.items()), *(f'{name}!=""' for name in used)])
        checks.append(_expect(f"count(ALERTS{{{own},{told}}})", case.at, 1))
    return {
        "name": case.alert,
        "interval": step,
        "input_series": _input(case.series),
        "promql_expr_test": checks,
    }


def _expect(expr: str, at: str, value: int | None) -> dict[str, Any]:
    return {"expr": expr, "eval_time": at, "exp_samples": [] if value is None else [{"labels": "{}", "value": value}]}


def _input(series: Series) -> list[dict[str, str]]:
    return [{"series": name, "values": values} for name, values in series.items()]
