"""Recording rules and alerts: Prometheus' own tool takes them, and every alert fires when it should and only then."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from llmdeploy.monitoring.rules import rule_files, rule_groups
from llmdeploy.monitoring.rules.build import Alert, Record
from llmdeploy.monitoring.scope import Scope
from tests.programs import program
from tests.unit.catalogue import settings
from tests.unit.monitoring.alerts import TABLES
from tests.unit.monitoring.alerts.cases import Table, promtool_test, scope
from tests.unit.monitoring.alerts.records import RECORDS, records_test

FULL = scope()


def alerts(of: Scope) -> dict[str, Alert]:
    return {rule.name: rule for rule in _rules(of) if isinstance(rule, Alert)}


def _rules(of: Scope) -> Iterator[Alert | Record]:
    for groups in rule_groups(of).values():
        for group in groups:
            yield from group.rules


def promtool(*arguments: str) -> None:
    fast = {**os.environ, "GOGC": "400"}  # it makes a storage for each world: tidying up takes a quarter of the time
    done = subprocess.run([program("promtool"), *arguments], capture_output=True, text=True, check=False, env=fast)
    assert done.returncode == 0, done.stdout + done.stderr


def write(folder: Path, of: Scope) -> list[str]:
    for name, text in rule_files(of).items():
        (folder / name).write_text(text, encoding="utf-8")
    return sorted(str(path) for path in folder.glob("*.yml"))


def bare(**monitoring: object) -> Scope:
    """One service that nobody can reach from outside."""
    return Scope("dev", settings({"job": {}}, stack="llm", monitoring=monitoring), {"a": "10.0.0.1"})


@pytest.mark.parametrize("of", [FULL, bare()], ids=["full", "bare"])
def test_promtool_takes_every_rule_file(tmp_path: Path, of: Scope) -> None:
    promtool("check", "rules", *write(tmp_path, of))


@pytest.mark.parametrize("table", TABLES, ids=lambda table: f"{table.file}-{table.step}-{len(table.cases)}")
def test_alerts_fire_when_they_should_and_only_then(tmp_path: Path, table: Table) -> None:
    write(tmp_path, table.scope)
    (tmp_path / "test.yml").write_text(promtool_test(table), encoding="utf-8")
    promtool("test", "rules", str(tmp_path / "test.yml"))


def test_recorded_series_have_the_values_they_should(tmp_path: Path) -> None:
    write(tmp_path, FULL)
    files = [tmp_path / f"test-{number}.yml" for number in range(len(RECORDS))]
    for record, file in zip(RECORDS, files, strict=True):
        file.write_text(records_test(record, FULL), encoding="utf-8")
    promtool("test", "rules", *map(str, files))


def test_every_alert_has_a_case_that_fires_and_one_that_does_not() -> None:
    cases = [case for table in TABLES for case in table.cases]
    assert {case.alert for case in cases if case.fires} == set(alerts(FULL))
    assert {case.alert for case in cases if not case.fires} == set(alerts(FULL)) - {"Watchdog"}


def test_every_recorded_name_has_a_value_in_a_test() -> None:
    recorded = {rule.name for rule in _rules(FULL) if isinstance(rule, Record)}
    tested = set(re.findall(r"[a-z]+:\w+(?::\w+)?", " ".join(expr for record in RECORDS for expr in record.expected)))
    assert recorded - tested == set()


def test_alerts_have_what_who_is_woken_needs() -> None:
    for name, alert in alerts(FULL).items():
        rule = alert.as_rule()
        assert rule["labels"]["severity"] in ("page", "ticket", "none"), name
        assert rule["annotations"]["summary"], name
        assert rule["annotations"]["runbook_url"].endswith(f"docs/runbooks/{name}.md"), name


def test_a_service_that_is_down_pages_within_two_minutes() -> None:
    down = alerts(FULL)["ServiceDown"]
    assert (down.for_, down.severity) == ("1m", "page")


def test_names_of_groups_and_alerts_are_unique() -> None:
    groups = [group.name for found in rule_groups(FULL).values() for group in found]
    names = [rule.name for rule in _rules(FULL) if isinstance(rule, Alert)]
    assert len(groups) == len(set(groups))
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("part", "gone"),
    [
        ("cadvisor", {"RestartLoop", "ContainerOutOfMemory", "ContainerMemoryHigh", "CadvisorDown"}),
        ("loki", {"LokiDown", "LokiRequestErrors", "LokiCompactorNotRunning"}),
        ("alloy", {"AlloyDown", "AlloyDroppedEntries"}),
        ("grafana", {"GrafanaDown"}),
        ("alertmanager", {"AlertmanagerDown", "NotificationsFailing"}),
        ("node-exporter", {"NodeDown", "NodeDiskFull", "ReleaseFailed"}),
        ("blackbox-exporter", {"ServiceDown", "EdgeProbeFailing", "GrpcUnhealthy", "BlackboxExporterDown"}),
    ],
)
def test_alerts_of_a_part_that_is_left_out_are_left_out(part: str, gone: set[str]) -> None:
    assert gone <= set(alerts(FULL))
    left = set(alerts(scope(parts={part: {"enabled": False}})))
    assert not gone & left
    assert {"Watchdog", "ErrorBudgetBurnFast"} <= left


def test_swarm_cost_and_certificate_are_watched_only_where_there_is_something_to_watch() -> None:
    found = set(alerts(bare()))
    assert not {"SwarmNoLeader", "CostBurn", "CertificateExpires", "EdgeDown", "ServiceDown", "NodesMissing"} & found
    assert {"SwarmNoLeader", "CostBurn", "CertificateExpires", "EdgeDown", "ServiceDown"} <= set(alerts(FULL))


def test_thresholds_are_those_of_the_settings() -> None:
    given = {"error_budget": 0.001, "latency": 3, "daily_cost": 7.5, "minimum": 99}
    found = {name: alert.expr for name, alert in alerts(scope(alerts=given)).items()}
    assert "> 0.0144" in found["ErrorBudgetBurnFast"]
    assert ">= 99" in found["ErrorBudgetBurnFast"]
    assert "p95_5m > 3" in found["ServiceLatencyHigh"]
    assert "> 1.5" in found["FirstTokenSlow"]
    assert found["CostBurn"].endswith("> 7.5")


def test_a_huge_error_budget_still_alerts_when_nearly_everything_fails() -> None:
    found = alerts(scope(alerts={"error_budget": 0.2}))
    assert "> 0.9" in found["ErrorBudgetBurnFast"].expr


def test_global_services_are_wanted_at_least_once_before_the_first_release() -> None:
    made = settings({"agent": {"mode": "global", "ports": [{"number": 80, "protocol": "http"}]}}, stack="llm")
    text = yaml.safe_load(rule_files(Scope("dev", made))["replicas.yml"])
    configured = text["groups"][0]["rules"][0]
    assert configured == {"record": "service:replicas_configured", "expr": "vector(1)", "labels": {"service": "agent"}}
