"""All services at once: a table, what is wrong, and a graph of each thing that matters."""

from __future__ import annotations

from collections.abc import Iterator

from llmdeploy.monitoring.dashboards.build import Dashboard, Panel, Row, Target
from llmdeploy.monitoring.dashboards.panels import Column, Graph, Logs, Number, Table, Timeline
from llmdeploy.monitoring.dashboards.shared import FIRING, TROUBLE, has, made, probed, published, running
from llmdeploy.monitoring.scope import Scope

SERVICE_LINK = "/d/llmdeploy-service?var-service=${__value.text}&${__url_time_range}"
_GOOD_BAD = [(1, "red")]


def dashboard(scope: Scope) -> Dashboard:
    """The first one to look at."""
    about = "Every service of the stack: whether it is there, what it does, which release it runs."
    rows = [
        Row("Now", list(_now(scope))),
        Row("Services", [_services(scope)]),
        Row("Alerts that fire", [firing()]),
        Row("Requests", list(_requests(scope))),
        Row("Health and resources", list(_resources(scope))),
        Row("Trouble in logs", _logs() if has(scope, "loki") else []),
    ]
    return made(scope, "overview", "Overview", about, rows)


def firing(*matchers: str) -> Table:
    """A table of the alerts that fire, those that `matchers` of their labels fit."""
    chosen = ",".join([FIRING, *matchers])
    since = f"ALERTS_FOR_STATE and ignoring (alertstate) ALERTS{{{chosen}}}"
    labels = {
        "alertname": "Alert",
        "severity": "Severity",
        "service": "Service",
        "nodename": "Host",
        "port": "Port",
        "model": "Model",
        "instance": "Address",
    }
    column = Column("Since", f"1000 * max by ({', '.join(labels)}) ({since})", "dateTimeFromNow")
    links = {"Service": SERVICE_LINK}
    return Table(title="Alerts that fire", labels=labels, columns=[column], links=links, height=7)


def _now(scope: Scope) -> Iterator[Panel]:
    if probed(scope):
        bad = f"{running(scope)} < on (service) service:replicas_wanted"
        yield Number(
            title="Services not well",
            about="Fewer replicas answer their health check than the release wants.",
            targets=[Target(f"count({bad}) or vector(0)")],
            unit="short",
            thresholds=_GOOD_BAD,
        )
    yield Number(
        title="Alerts: act now",
        targets=[Target('count(ALERTS{alertstate="firing",severity="page"}) or vector(0)')],
        unit="short",
        thresholds=_GOOD_BAD,
    )
    yield Number(
        title="Alerts: within days",
        targets=[Target('count(ALERTS{alertstate="firing",severity="ticket"}) or vector(0)')],
        unit="short",
        thresholds=[(1, "orange")],
    )
    yield Number(title="Requests", targets=[Target("sum(service:requests:rate5m)")], unit="reqps")
    budget = scope.monitoring.alerts.error_budget
    yield Number(
        title="Errors",
        targets=[Target("sum(service:errors:rate5m) / (sum(service:requests:rate5m) > 0)")],
        unit="percentunit",
        decimals=2,
        thresholds=[(budget, "orange"), (5 * budget, "red")],
    )
    if has(scope, "node-exporter"):
        yield Number(
            title="Newest release",
            targets=[Target("max by (action, result) (llmdeploy:release_number)", "{{action}}: {{result}}")],
            unit="none",
            shown="value_and_name",
        )


def _services(scope: Scope) -> Table:
    columns = [Column("Wanted", "max by (service) (service:replicas_wanted)", "none")]
    if probed(scope):
        part = f"100 * {running(scope)} / on (service) (service:replicas_wanted > 0)"
        columns = [
            Column("Health", part, "percent", 0, [(0, "red"), (0.01, "orange"), (100, "green")]),
            Column("Running", running(scope), "none"),
            *columns,
        ]
    latency = scope.monitoring.alerts.latency
    columns += [
        Column("Requests", "max by (service) (service:requests:rate5m)", "reqps"),
        Column("Errors", "max by (service) (service:error_ratio:rate5m)", "percentunit", 2, [(0.01, "red")]),
        Column("p50", "max by (service) (service:latency_seconds:p50_5m)", "s"),
        Column("p95", "max by (service) (service:latency_seconds:p95_5m)", "s", None, [(latency, "red")]),
    ]
    if has(scope, "cadvisor"):
        columns += [
            Column("Processors", "max by (service) (service:cpu_cores:rate5m)", "short", 2),
            Column("Memory", "max by (service) (service:memory_bytes)", "bytes"),
            Column("Of its limit", "max by (service) (service:memory_ratio:max)", "percentunit", 0, [(0.9, "red")]),
        ]
    labels = {"service": "Service"}
    if has(scope, "node-exporter"):
        columns.append(Column("", "max by (service, version, release) (llmdeploy:release_info)"))
        labels |= {"version": "Version", "release": "Release"}
    columns.append(Column("Alerts", f"count by (service) (ALERTS{{{FIRING}}})", "none", 0, [(1, "red")]))
    return Table(
        title="Services", labels=labels, columns=columns, links={"Service": SERVICE_LINK}, sort="Service", height=13
    )


def _requests(scope: Scope) -> Iterator[Panel]:
    yield Graph(title="Requests", targets=[Target("service:requests:rate5m", "{{service}}")], unit="reqps")
    yield Graph(
        title="Errors",
        about="Part of the requests that the service failed: 5xx, and the codes of gRPC that are its fault.",
        targets=[Target("service:error_ratio:rate5m", "{{service}}")],
        unit="percentunit",
        limit=scope.monitoring.alerts.error_budget,
    )
    yield Graph(
        title="Latency, p95",
        targets=[Target("max by (service) (service:latency_seconds:p95_5m)", "{{service}}")],
        unit="s",
        limit=scope.monitoring.alerts.latency,
    )
    if published(scope):
        yield Graph(
            title="What clients get",
            about="Answers of the edge, by their class.",
            targets=[Target("sum by (code) (edge:responses:rate5m)", "{{code}}")],
            unit="reqps",
            stacked=True,
        )
    yield Graph(
        title="Error budget that is left",
        about="Of 30 days. Below 0 it is overspent.",
        targets=[Target("service:slo_budget_left:ratio30d", "{{service}}")],
        unit="percentunit",
        minimum=None,
        maximum=1,
    )


def _resources(scope: Scope) -> Iterator[Panel]:
    if probed(scope):
        part = f"{running(scope)} / on (service) (service:replicas_wanted > 0)"
        yield Timeline(
            title="Replicas that answer, of those that are wanted",
            targets=[Target(part, "{{service}}")],
            unit="percentunit",
            thresholds=[(0.01, "orange"), (1, "green")],
            width=24,
            height=10,
        )
    if has(scope, "cadvisor"):
        yield Graph(
            title="Processors in use",
            targets=[Target("service:cpu_cores:rate5m", "{{service}}")],
            unit="short",
            width=12,
        )
        yield Graph(title="Memory", targets=[Target("service:memory_bytes", "{{service}}")], unit="bytes", width=12)


def _logs() -> list[Panel]:
    trouble = f'{{service=~".+",level=~"{TROUBLE}"}}'
    return [
        Graph(
            title="Lines of trouble",
            about="Lines of logs a second whose level is error or worse.",
            targets=[Target(f"sum by (service) (rate({trouble}[$__auto]))", "{{service}}", "loki")],
            unit="cps",
            height=12,
        ),
        Logs(title="The newest ones", targets=[Target(trouble, source="loki")], width=16),
    ]
