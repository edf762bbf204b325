"""One service: its requests, replicas, containers and ports, with its logs beside the graphs."""

from __future__ import annotations

from collections.abc import Iterator

from llmdeploy.monitoring.alloy import LEVELS, NO_LEVEL
from llmdeploy.monitoring.dashboards.build import Dashboard, Panel, Row, Target, Variable
from llmdeploy.monitoring.dashboards.overview import firing
from llmdeploy.monitoring.dashboards.panels import CODES, Graph, Logs, Number, Timeline
from llmdeploy.monitoring.dashboards.shared import TROUBLE, has, made, published
from llmdeploy.monitoring.scope import Scope

_ONE = '{service="$service"}'
_HTTP = 'job="services",service="$service"'
_CONTAINERS = '{job="cadvisor",service="$service"}'
_LOGS = '{service="$service",level=~"$level"} |~ `(?i)$search`'
_LEVELS = ",".join([*LEVELS, NO_LEVEL])


def dashboard(scope: Scope) -> Dashboard:
    """The service that is chosen above it."""
    variables = [Variable("service", "Service", "label_values(service:replicas_wanted, service)")]
    if has(scope, "loki"):
        variables += [
            Variable("level", "Level of logs", _LEVELS, "custom", several=True),
            Variable("search", "Search in logs", kind="textbox"),
        ]
    rows = [
        Row("Now", list(_now(scope))),
        Row("Requests and logs", _beside(scope)),
        Row("Alerts that fire", [firing('service="$service"')]),
        Row("Routes", list(_routes())),
        Row("Replicas", list(_replicas(scope))),
        Row("Containers", list(_containers()) if has(scope, "cadvisor") else []),
        Row("Edge", list(_edge()) if published(scope) else []),
    ]
    return made(scope, "service", "Service", "One service with its logs.", rows, variables)


def _now(scope: Scope) -> Iterator[Panel]:
    alerts = scope.monitoring.alerts
    yield Number(title="Wanted replicas", targets=[Target(f"service:replicas_wanted{_ONE}")], unit="none")
    if has(scope, "blackbox-exporter"):
        yield Number(title="Replicas that answer", targets=[Target(f"service:replicas_running{_ONE}")], unit="none")
    yield Number(title="Requests", targets=[Target(f"service:requests:rate5m{_ONE}")], unit="reqps")
    yield Number(
        title="Errors",
        targets=[Target(f"service:error_ratio:rate5m{_ONE}")],
        unit="percentunit",
        decimals=2,
        thresholds=[(alerts.error_budget, "orange"), (5 * alerts.error_budget, "red")],
    )
    yield Number(
        title="Error budget that is left",
        targets=[Target(f"service:slo_budget_left:ratio30d{_ONE}")],
        unit="percentunit",
        decimals=0,
    )
    if has(scope, "node-exporter"):
        yield Number(
            title="Release",
            about="The release that changed it last, and its version.",
            targets=[Target(f"llmdeploy:release_info{_ONE}", "{{version}} (release {{release}})")],
            unit="none",
            shown="name",
        )


def _beside(scope: Scope) -> list[Panel]:
    """Graphs in two columns, its logs at their right."""
    width = 7 if has(scope, "loki") else 12
    graphs: list[Panel] = [
        Graph(
            title="Requests by code",
            targets=[Target(f"sum by (code) (service:requests_by_code:rate5m{_ONE})", "{{code}}")],
            unit="reqps",
            stacked=True,
            width=width,
        ),
        Graph(
            title="Errors",
            targets=[Target(f"service:error_ratio:rate5m{_ONE}", "errors")],
            unit="percentunit",
            limit=scope.monitoring.alerts.error_budget,
            width=width,
        ),
        Graph(
            title="Latency",
            targets=[
                Target(f"service:latency_seconds:{name}_5m{_ONE}", f"{name} {{{{protocol}}}}")
                for name in ("p50", "p95", "p99")
            ],
            unit="s",
            limit=scope.monitoring.alerts.latency,
            width=width,
        ),
        Graph(
            title="Burned error budget",
            about="1: the budget lasts just as long as it has to.",
            targets=[
                Target(
                    f"service:slo_errors:ratio_rate{window}{_ONE} / {scope.monitoring.alerts.error_budget:g}", window
                )
                for window in ("5m", "1h", "6h", "3d")
            ],
            unit="suffix: times",
            limit=1,
            width=width,
        ),
    ]
    if not has(scope, "loki"):
        return graphs
    lines = f"sum by (level) (rate({_LOGS}[$__auto]))"
    trouble = f'{{service="$service",level=~"{TROUBLE}"}} |~ `(?i)$search`'
    return [
        *graphs[:2],
        Logs(title="Logs", targets=[Target(_LOGS, source="loki")], width=10, height=24),
        *graphs[2:],
        Graph(
            title="Lines by level",
            targets=[Target(lines, "{{level}}", "loki")],
            unit="cps",
            stacked=True,
            colours={"error": "red", "critical": "purple", "warning": "orange", "info": "green"},
            width=width,
        ),
        Logs(title="Trouble", targets=[Target(trouble, source="loki")], width=width, height=8),
    ]


def _routes() -> Iterator[Panel]:
    buckets = f"http_request_duration_seconds_bucket{{{_HTTP}}}"
    handled = f"grpc_server_handled_total{{{_HTTP}}}"
    yield Graph(
        title="Requests by route",
        targets=[
            Target(
                f"sum by (method, route) (rate(http_requests_total{{{_HTTP}}}[$__rate_interval]))",
                "{{method}} {{route}}",
            ),
            Target(
                f"sum by (grpc_service, grpc_method) (rate({handled}[$__rate_interval]))",
                "{{grpc_service}}/{{grpc_method}}",
            ),
        ],
        unit="reqps",
    )
    yield Graph(
        title="Errors by route",
        targets=[
            Target(
                f'sum by (route, code) (rate(http_requests_total{{{_HTTP},code=~"[45].."}}[$__rate_interval]))',
                "{{code}} {{route}}",
            ),
            Target(
                f"sum by (grpc_method, grpc_code) "
                f'(rate(grpc_server_handled_total{{{_HTTP},grpc_code!="OK"}}[$__rate_interval]))',
                "{{grpc_code}} {{grpc_method}}",
            ),
        ],
        unit="reqps",
    )
    yield Graph(
        title="Latency by route, p95",
        targets=[
            Target(
                f"histogram_quantile(0.95, sum by (le, route) (rate({buckets}[$__rate_interval]))) >= 0", "{{route}}"
            ),
            Target(
                "histogram_quantile(0.95, sum by (le, grpc_method) "
                f"(rate(grpc_server_handling_seconds_bucket{{{_HTTP}}}[$__rate_interval]))) >= 0",
                "{{grpc_method}}",
            ),
        ],
        unit="s",
    )


def _replicas(scope: Scope) -> Iterator[Panel]:
    if has(scope, "blackbox-exporter"):
        yield Timeline(
            title="Health of each replica",
            targets=[Target('probe_success{job="replicas",service="$service"}', "{{instance}}")],
            unit="bool_yes_no",
            thresholds=[(1, "green")],
            width=12,
        )
        yield Graph(
            title="Duration of health checks",
            targets=[Target('probe_duration_seconds{job="replicas",service="$service"}', "{{instance}}")],
            unit="s",
            width=6,
        )
    yield Graph(
        title="Replicas that tell metrics",
        targets=[Target(f"sum(up{{{_HTTP}}})", "answer"), Target(f"count(up{{{_HTTP}}})", "are asked")],
        unit="short",
        width=6,
    )


def _containers() -> Iterator[Panel]:
    cpu = f"sum by (name) (rate(container_cpu_usage_seconds_total{_CONTAINERS}[$__rate_interval]))"
    yield Graph(title="Processors by container", targets=[Target(cpu, "{{name}}")], unit="short", width=6)
    yield Graph(
        title="Memory by container",
        targets=[
            Target(f"max by (name) (container_memory_working_set_bytes{_CONTAINERS})", "{{name}}"),
            Target(f"max(container_spec_memory_limit_bytes{_CONTAINERS} > 0)", "limit"),
        ],
        unit="bytes",
        colours={"limit": "red"},
        width=6,
    )
    yield Graph(
        title="Waiting for the processor",
        about="Part of the periods in which its limit stopped it.",
        targets=[Target(f"service:cpu_throttled:ratio_rate5m{_ONE}", "throttled")],
        unit="percentunit",
        maximum=1,
        width=6,
    )
    yield Graph(
        title="Started containers in 15 minutes",
        targets=[Target(f"service:container_starts:15m{_ONE}", "started")],
        unit="short",
        width=6,
    )
    yield Graph(
        title="Network",
        targets=[Target(f"sum by (direction) (service:network_bytes:rate5m{_ONE})", "{{direction}}")],
        unit="Bps",
        width=12,
    )
    yield Graph(
        title="Ends for lack of memory",
        targets=[
            Target(f"sum by (name) (increase(container_oom_events_total{_CONTAINERS}[$__rate_interval]))", "{{name}}")
        ],
        unit="short",
        width=12,
    )


def _edge() -> Iterator[Panel]:
    yield Graph(
        title="Answers of the edge",
        targets=[Target(f"sum by (code) (edge:responses:rate5m{_ONE})", "{{code}}")],
        unit="reqps",
        stacked=True,
        colours=CODES,
    )
    yield Graph(
        title="Duration by the word of the edge",
        about="Mean of the last 1024 requests.",
        targets=[Target(f"edge:latency_seconds:mean{_ONE}", "port {{port}}")],
        unit="s",
    )
    yield Graph(
        title="Open connections",
        targets=[Target(f"edge:sessions{_ONE}", "port {{port}}")],
        unit="short",
    )
