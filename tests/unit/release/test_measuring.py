"""The usual metric checks: Prometheus' own program evaluates their queries over series whose answers are known."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmdeploy.engine.asking import MetricCheck
from llmdeploy.engine.prometheus import filled
from llmdeploy.monitoring.rules import rule_files, words
from llmdeploy.monitoring.scope import Scope
from llmdeploy.release import measuring
from llmdeploy.release.measuring import KNOWN_BETTER, metric_checks, watch
from tests.programs import program
from tests.unit.catalogue import settings

WEB = {"web": {"ports": [{"number": 8000, "protocol": "http"}]}}
PART = {"number": 9090, "protocol": "web", "published": True}


def usual(**monitoring: Any) -> dict[str, dict[str, Any]]:
    found = metric_checks(settings(WEB, monitoring={"enabled": True, **monitoring}), watched=True)
    return {check["name"]: check for check in found}


def test_what_the_files_say_is_asked_and_the_usual_only_where_somebody_watches() -> None:
    own = {"name": "mine", "query": "up", "success": ">=1"}
    assert metric_checks(settings(WEB), watched=False) == []
    assert metric_checks(settings(WEB, verify={"metrics": []}), watched=True) == []
    (check,) = metric_checks(settings(WEB, verify={"metrics": [own]}), watched=False)
    assert check == {
        "name": "mine", "query": "up", "success": ">= 1", "interval": 10.0, "count": 3, "failure_limit": 0,
        "initial_delay": 15.0, "on_no_data": "pass",
    }  # fmt: skip
    assert list(usual()) == ["error ratio", "p95 latency", "restarts", "alerts firing"]


def test_the_engine_takes_the_usual_and_is_done_soon() -> None:
    checks = [MetricCheck.of(check) for check in usual().values()]
    assert max(check.longest for check in checks) < 45.0
    assert not any(check.no_data_fails for check in checks), "without monitoring or traffic nothing is known"


def test_the_words_are_those_of_the_recording_rules() -> None:
    assert (measuring.PROBES, measuring.GRPC_ERRORS) == (words.PROBES, words.GRPC_ERRORS)


def test_alerts_that_are_left_out_are_alerts() -> None:
    services = {"web": {"ports": [{"number": 8000, "protocol": "http", "published": True}]}}
    scope = Scope("dev", settings(services, monitoring={"enabled": True}))
    names = {
        rule["alert"]
        for text in rule_files(scope).values()
        for group in yaml.safe_load(text)["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }
    assert names >= set(KNOWN_BETTER.split("|"))


def test_a_rate_has_looks_enough() -> None:
    assert "[60s]" in usual()["error ratio"]["query"]
    assert "[120s]" in usual(interval=30)["error ratio"]["query"]


def evaluated(
    tmp_path: Path, query: str, series: dict[str, str], at: str, wanted: list[tuple[str, float]], window: float = 40
) -> str:
    """What promtool says when the query does not give `wanted` at this moment; looks come every 15 seconds."""
    test = {
        "evaluation_interval": "15s",
        "tests": [
            {
                "interval": "15s",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [
                    {
                        "expr": filled(query, ["web", "head.go"], window),
                        "eval_time": at,
                        "exp_samples": [{"labels": labels, "value": value} for labels, value in wanted],
                    }
                ],
            }
        ],
    }
    file = tmp_path / "test.yml"
    file.write_text(yaml.safe_dump(test))
    done = subprocess.run(
        [program("promtool"), "test", "rules", file], capture_output=True, text=True, timeout=60, check=False
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr


def http(service: str, code: str, route: str = "/chat") -> str:
    return f'http_requests_total{{job="services",service="{service}",route="{route}",code="{code}",instance="1"}}'


def test_the_error_ratio_counts_what_users_see(tmp_path: Path) -> None:
    series = {
        http("web", "200"): "0+30x20",
        http("web", "503"): "0+10x20",
        http("web", "200", "/health"): "0+900x20",
        http("other", "503"): "0+10x20",
        'grpc_server_handled_total{job="services",service="head.go",grpc_service="s",grpc_code="OK"}': "0+30x20",
        'grpc_server_handled_total{job="services",service="head.go",grpc_service="s",grpc_code="Internal"}': "0+30x20",
        'grpc_server_handled_total{job="services",service="head.go",grpc_service="grpc.health.v1.Health",'
        'grpc_code="Internal"}': "0+900x20",
    }
    wanted = [('{service="web"}', 0.25), ('{service="head.go"}', 0.5)]
    assert evaluated(tmp_path, usual()["error ratio"]["query"], series, "4m", wanted) == ""


@pytest.mark.parametrize(
    "series",
    [
        {},
        {http("web", "200"): "0+30x20"},  # no error has ever been
        {http("web", "500"): "0+0x10 1+0x10", http("web", "200"): "0+0x20"},  # one in minutes
    ],
    ids=["no metrics", "no errors", "hardly any traffic"],
)
def test_the_error_ratio_knows_nothing_of_what_does_not_happen(tmp_path: Path, series: dict[str, str]) -> None:
    assert evaluated(tmp_path, usual()["error ratio"]["query"], series, "3m", []) == ""


def test_latency_is_asked_of_either_protocol(tmp_path: Path) -> None:
    def buckets(name: str, service: str, more: str, slow: bool) -> dict[str, str]:
        label = f'{name}_bucket{{job="services",service="{service}",{more}'
        first = "0+0x20" if slow else "0+20x20"
        return {f'{label},le="1"}}': first, f'{label},le="3"}}': "0+20x20", f'{label},le="+Inf"}}': "0+20x20"}

    series = {
        **buckets("http_request_duration_seconds", "web", 'route="/chat"', slow=True),
        **buckets("http_request_duration_seconds", "web", 'route="/metrics"', slow=False),
        **buckets("grpc_server_handling_seconds", "head.go", 'grpc_service="s"', slow=False),
        # It has an HTTP server as well, which nobody asks for anything.
        'http_request_duration_seconds_bucket{job="services",service="head.go",route="/x",le="+Inf"}': "0+0x20",
        http("web", "200"): "0+20x20",
        'grpc_server_handled_total{job="services",service="head.go",grpc_service="s",grpc_code="OK"}': "0+20x20",
    }
    query = usual()["p95 latency"]["query"]
    assert evaluated(tmp_path, query, series, "4m", [('{service="web"}', 2.9), ('{service="head.go"}', 0.95)]) == ""
    idle = {name: values for name, values in series.items() if name.endswith('le="+Inf"}') or "bucket" in name}
    assert evaluated(tmp_path, query, idle, "4m", []) == "", "hardly any traffic"


def test_starts_count_from_the_moment_the_services_were_up(tmp_path: Path) -> None:
    def container(name: str, service: str = "web") -> str:
        return f'container_start_time_seconds{{job="cadvisor",service="{service}",name="{name}"}}'

    gap = "_x10 "  # looks until 2m15s; the window of 40 seconds begins at 2m20s
    series = {
        container("old"): "5+0x8 stale",
        container("new"): gap + "130+0x4",
        container("crashed"): gap + "145 stale",
        container("crashed again"): gap + "_ 160 stale",
        container("another", "other"): gap + "170+0x4",
    }
    query = usual()["restarts"]["query"]
    assert evaluated(tmp_path, query, series, "3m", [('{service="web"}', 2)]) == ""
    good = {name: values for name, values in series.items() if "crashed" not in name}
    assert evaluated(tmp_path, query, good, "3m", []) == ""


def test_only_alerts_that_wake_somebody_count(tmp_path: Path) -> None:
    def alert(name: str, state: str = "firing", severity: str = "page", service: str = "web") -> str:
        return f'ALERTS{{alertname="{name}",alertstate="{state}",severity="{severity}",service="{service}"}}'

    series = dict.fromkeys(
        [
            alert("ModelErrors"), alert("ErrorBudgetBurn"), alert("Soon", state="pending"),
            alert("Slow", severity="ticket"), alert("NoTokens", service="other"),
            *map(alert, KNOWN_BETTER.split("|")),
        ],
        "1+0x20",
    )  # fmt: skip
    assert evaluated(tmp_path, usual()["alerts firing"]["query"], series, "3m", [('{service="web"}', 2)]) == ""
    condition = MetricCheck.of(usual()["alerts firing"]).condition
    assert [condition.holds(1, before) for before in (None, 0.0, 1.0)] == [False, False, True]


@pytest.mark.parametrize(
    ("ports", "tls", "found"),
    [
        ([PART], "internal", {"prometheus": {"port": 9090, "tls": True}}),
        ([PART], "off", {"prometheus": {"port": 9090, "tls": False}}),
        ([{**PART, "published": 19090}], "off", {"prometheus": {"port": 19090, "tls": False}}),
        ([{**PART, "published": False}], "off", {}),
    ],
)
def test_what_is_published_is_found(ports: list[dict[str, Any]], tls: str, found: dict[str, Any]) -> None:
    services = {**WEB, "prometheus": {"ports": ports}, "grafana": {"ports": [{**PART, "published": 3002}]}}
    made = settings(services, monitoring={"enabled": True}, tls={"mode": tls})
    assert watch(made) == found
    assert watch(made.model_copy(update={"monitoring": settings(WEB).monitoring})) == {}, "their own Prometheus"
