"""The edge: what clients send and get, port by port, and how HAProxy itself is."""

from __future__ import annotations

from collections.abc import Iterator

from llmdeploy.monitoring.dashboards.build import Dashboard, Panel, Row, Target, Variable
from llmdeploy.monitoring.dashboards.panels import CODES, Column, Graph, Logs, Number, Table, Timeline
from llmdeploy.monitoring.dashboards.shared import has, made, published
from llmdeploy.monitoring.scope import Scope

_CHOSEN = '{service=~"$service"}'
_PORT = "{{service}} {{port}}"
_WARNING, _LATE = 21, 3  # days before a certificate ends, as alerts have them


def dashboard(scope: Scope) -> Dashboard:
    """Every published port, or those of the services that are chosen; without panels where nothing is published."""
    rows = [
        Row("Now", list(_now(scope))),
        Row("Ports", [_table(scope)]),
        Row("Traffic", list(_traffic())),
        Row("Reached from outside", list(_probes()) if has(scope, "blackbox-exporter") else []),
        Row("HAProxy", list(_haproxy())),
        Row("Logs", list(_logs()) if has(scope, "loki") else []),
    ]
    variables = [Variable("service", "Service", "label_values(edge:sessions, service)", several=True)]
    about = "What clients send and get back, by the word of HAProxy."
    return made(scope, "edge", "Edge", about, rows if published(scope) else [], variables)


def _now(scope: Scope) -> Iterator[Panel]:
    yield Number(
        title="Edges that answer",
        targets=[Target('sum(up{job="edge"}) or vector(0)')],
        unit="none",
        thresholds=[(0, "red"), (1, "green")],
    )
    yield Number(title="Requests", targets=[Target(f"sum(edge:requests:rate5m{_CHOSEN})")], unit="reqps")
    yield Number(
        title="Answers with 5xx",
        targets=[Target(f"sum(edge:errors:rate5m{_CHOSEN}) / (sum(edge:responses:rate5m{_CHOSEN}) > 0)")],
        unit="percentunit",
        decimals=2,
        thresholds=[(0.01, "orange"), (0.05, "red")],
    )
    yield Number(title="Open connections", targets=[Target(f"sum(edge:sessions{_CHOSEN})")], unit="short")
    if has(scope, "blackbox-exporter"):
        yield Number(
            title="Ports that do not answer",
            targets=[Target(f"count(edge:probe_success{_CHOSEN} == 0) or vector(0)")],
            unit="none",
            thresholds=[(1, "red")],
        )
    if scope.settings.has_tls:
        yield Number(
            title="Certificate ends in",
            targets=[Target("(min(llmdeploy_edge_certificate_expiry_timestamp_seconds) - time()) / 86400")],
            unit="suffix: days",
            decimals=0,
            thresholds=[(0, "red"), (_LATE, "orange"), (_WARNING, "green")],
        )


def _table(scope: Scope) -> Table:
    def of(name: str, function: str = "max") -> str:
        return f"{function} by (service, port) ({name}{_CHOSEN})"

    answers = [Column("Answers", of("edge:probe_success"), "bool_yes_no", None, [(0, "red"), (1, "green")])]
    columns = [
        Column("Well replicas", of("edge:servers_up", "min"), "none", 0, [(0, "red"), (1, "green")]),
        *(answers if has(scope, "blackbox-exporter") else []),
        Column("Requests", of("edge:requests:rate5m"), "reqps"),
        Column("Answers with 5xx", of("edge:error_ratio:rate5m"), "percentunit", 2, [(0.01, "orange"), (0.05, "red")]),
        Column("Duration", of("edge:latency_seconds:mean"), "s"),
        Column("Open connections", of("edge:sessions"), "short"),
        Column("New connections", of("edge:connections:rate5m"), "cps"),
    ]
    return Table(
        title="Ports", labels={"service": "Service", "port": "Port"}, columns=columns, sort="Service", height=10
    )


def _traffic() -> Iterator[Panel]:
    def by_port(title: str, name: str, unit: str) -> Panel:
        return Graph(title=title, targets=[Target(f"{name}{_CHOSEN}", _PORT)], unit=unit)

    yield by_port("Requests", "edge:requests:rate5m", "reqps")
    yield Graph(
        title="Answers",
        targets=[Target(f"sum by (code) (edge:responses:rate5m{_CHOSEN})", "{{code}}")],
        unit="reqps",
        stacked=True,
        colours=CODES,
    )
    yield by_port("Answers with 5xx", "edge:error_ratio:rate5m", "percentunit")
    yield by_port("Duration, mean of the last 1024", "edge:latency_seconds:mean", "s")
    yield by_port("Open connections", "edge:sessions", "short")
    yield by_port("New connections", "edge:connections:rate5m", "cps")
    for direction, title in (("in", "From clients"), ("out", "To clients")):
        chosen = f'edge:bytes:rate5m{{service=~"$service",direction="{direction}"}}'
        yield Graph(title=title, targets=[Target(chosen, _PORT)], unit="Bps")
    yield by_port("Replicas that are well", "edge:servers_up", "short")


def _probes() -> Iterator[Panel]:
    probe = '{job="edge-probe",service=~"$service"}'
    yield Timeline(
        title="Ports that answer, through each edge",
        targets=[Target(f"probe_success{probe}", "{{service}} {{port}} {{instance}}")],
        unit="bool_yes_no",
        thresholds=[(1, "green")],
        width=16,
        height=10,
    )
    yield Graph(
        title="Duration of a probe",
        targets=[Target(f"max by (service, port) (probe_duration_seconds{probe})", _PORT)],
        unit="s",
        height=10,
    )


def _haproxy() -> Iterator[Panel]:
    used = 'haproxy_process_current_connections{job="edge"} / (haproxy_process_max_connections{job="edge"} > 0)'
    proxies = 'job="edge",proxy=~".+-[0-9]+"'
    yield Graph(
        title="Connections, of what HAProxy takes at most",
        targets=[Target(used, "{{instance}}")],
        unit="percentunit",
        limit=0.8,
        width=6,
    )
    yield Graph(
        title="HAProxy busy",
        targets=[Target('100 - haproxy_process_idle_time_percent{job="edge"}', "{{instance}}")],
        unit="percent",
        maximum=100,
        width=6,
    )
    yield Graph(
        title="Requests that wait for a replica",
        targets=[Target(f"sum by (proxy) (haproxy_backend_current_queue{{{proxies}}})", "{{proxy}}")],
        unit="short",
        width=6,
    )
    yield Graph(
        title="Failed connections to replicas",
        targets=[
            Target(
                f"sum by (proxy) (rate(haproxy_backend_connection_errors_total{{{proxies}}}[$__rate_interval]))",
                "{{proxy}}",
            )
        ],
        unit="cps",
        width=6,
    )


def _logs() -> Iterator[Panel]:
    yield Logs(title="Logs of the edge", targets=[Target('{service="edge"}', source="loki")])
