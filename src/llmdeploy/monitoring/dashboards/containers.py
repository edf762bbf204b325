"""Containers of all services, and Swarm itself where Docker tells its metrics."""

from __future__ import annotations

from collections.abc import Iterator

from llmdeploy.monitoring.dashboards.build import Dashboard, Panel, Row, Target
from llmdeploy.monitoring.dashboards.overview import SERVICE_LINK
from llmdeploy.monitoring.dashboards.panels import Column, Graph, Number, Table
from llmdeploy.monitoring.dashboards.shared import has, made, probed, running
from llmdeploy.monitoring.scope import Scope

_OURS = 'job="cadvisor",service!=""'


def dashboard(scope: Scope) -> Dashboard:
    """What runs, what it uses, and whether Swarm is well."""
    rows = [
        Row("Replicas", list(_replicas(scope))),
        Row("Containers", [_table(), *_use()] if has(scope, "cadvisor") else []),
        Row("Swarm", list(_swarm()) if scope.monitoring.docker_metrics else []),
    ]
    about = "What the containers of every service use, and Swarm's own state."
    return made(scope, "containers", "Containers and Swarm", about, rows)


def _replicas(scope: Scope) -> Iterator[Panel]:
    yield Graph(
        title="Wanted replicas", targets=[Target("service:replicas_wanted", "{{service}}")], unit="short", width=8
    )
    if probed(scope):
        missing = f"service:replicas_wanted{{{probed(scope)}}} - on (service) {running(scope)}"
        yield Graph(
            title="Replicas that are missing",
            targets=[Target(f"{missing} > 0", "{{service}}")],
            unit="short",
            limit=1,
        )
        yield Graph(
            title="Slowest health check",
            targets=[Target("service:probe_seconds:max", "{{service}}")],
            unit="s",
        )


def _table() -> Table:
    def largest(name: str) -> str:
        return f"max by (service, name) ({name}{{{_OURS}}})"

    busy = f"sum by (service, name) (rate(container_cpu_usage_seconds_total{{{_OURS}}}[5m]))"
    part = f"{largest('container_memory_working_set_bytes')} / ({largest('container_spec_memory_limit_bytes')} > 0)"
    columns = [
        Column("Processors", busy, "short", 2),
        Column("Memory", largest("container_memory_working_set_bytes"), "bytes"),
        Column("Of its limit", part, "percentunit", 0, [(0.8, "orange"), (0.9, "red")]),
        Column("Runs for", f"time() - {largest('container_start_time_seconds')}", "s", 0),
    ]
    labels = {"service": "Service", "name": "Container"}
    links = {"Service": SERVICE_LINK}
    return Table(title="Containers", labels=labels, columns=columns, links=links, sort="-Memory", height=12)


def _use() -> Iterator[Panel]:
    yield Graph(
        title="Processors", targets=[Target("service:cpu_cores:rate5m", "{{service}}")], unit="short", stacked=True
    )
    yield Graph(title="Memory", targets=[Target("service:memory_bytes", "{{service}}")], unit="bytes", stacked=True)
    yield Graph(
        title="Memory of its limit, the fullest container",
        targets=[Target("service:memory_ratio:max", "{{service}}")],
        unit="percentunit",
        limit=0.9,
    )
    yield Graph(
        title="Waiting for the processor",
        about="Part of the periods in which its limit stopped it.",
        targets=[Target("service:cpu_throttled:ratio_rate5m", "{{service}}")],
        unit="percentunit",
        limit=0.5,
    )
    yield Graph(
        title="Started containers in 15 minutes",
        targets=[Target("service:container_starts:15m", "{{service}}")],
        unit="short",
    )
    yield Graph(
        title="Ends for lack of memory",
        targets=[
            Target(
                f"sum by (service) (increase(container_oom_events_total{{{_OURS}}}[$__rate_interval])) > 0",
                "{{service}}",
            )
        ],
        unit="short",
    )
    for direction, title in (("receive", "Received"), ("transmit", "Sent")):
        chosen = f'service:network_bytes:rate5m{{direction="{direction}"}}'
        yield Graph(title=title, targets=[Target(chosen, "{{service}}")], unit="Bps", width=12)


def _swarm() -> Iterator[Panel]:
    docker = 'job="docker"'
    yield Number(
        title="Leader",
        targets=[Target(f"sum(swarm_manager_leader{{{docker}}})")],
        unit="none",
        none="none",
    )
    yield Number(title="Managers", targets=[Target(f"sum(swarm_node_manager{{{docker}}})")], unit="none")
    yield Graph(
        title="Nodes by state",
        targets=[Target(f"max by (state) (swarm_manager_nodes{{{docker}}})", "{{state}}")],
        unit="short",
        colours={"down": "red", "disconnected": "red", "unknown": "orange"},
    )
    yield Graph(
        title="Tasks by state",
        targets=[Target(f"max by (state) (swarm_manager_tasks_total{{{docker}}}) > 0", "{{state}}")],
        unit="short",
        colours={"failed": "red", "rejected": "red", "running": "green"},
    )
    yield Graph(
        title="Health checks that failed",
        targets=[
            Target(
                f"sum by (node) (rate(engine_daemon_health_checks_failed_total{{{docker}}}[$__rate_interval]))",
                "{{node}}",
            )
        ],
        unit="cps",
        width=12,
    )
    yield Graph(
        title="Containers by host and state",
        targets=[
            Target(
                f"sum by (node, state) (engine_daemon_container_states_containers{{{docker}}})", "{{node}} {{state}}"
            )
        ],
        unit="short",
        width=12,
    )
