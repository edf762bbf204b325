"""The monitoring itself: whether all of it answers, what it cannot keep up with, and how long its disks last."""

from __future__ import annotations

from collections.abc import Iterator

from llmdeploy.monitoring.dashboards.build import Dashboard, Panel, Row, Target
from llmdeploy.monitoring.dashboards.panels import Column, Graph, Number, Table, Timeline
from llmdeploy.monitoring.dashboards.shared import disk_days, has, made
from llmdeploy.monitoring.rules.nodes import DISK
from llmdeploy.monitoring.scope import Scope

_DAY = 86400
_OWN = 'job="prometheus"'
_LOKI = 'job="loki"'
_ALLOY = 'job="alloy"'


def dashboard(scope: Scope) -> Dashboard:
    """What to look at when a dashboard is empty."""
    rows = [
        Row("Now", list(_now(scope))),
        Row("Disks", list(_disks(scope))),
        Row("What is asked", list(_targets())),
        Row("Prometheus", list(_prometheus())),
        Row("Alertmanager", list(_alertmanager()) if has(scope, "alertmanager") else []),
        Row("Loki", list(_loki()) if has(scope, "loki") else []),
        Row("Alloy", list(_alloy()) if has(scope, "alloy") else []),
    ]
    about = "Whether Prometheus, Loki, Alloy and Alertmanager work, and how many days their disks last."
    return made(scope, "monitoring", "Monitoring", about, rows, since="now-6h")


def _now(scope: Scope) -> Iterator[Panel]:
    yield Number(
        title="Watchdog",
        about="An alert that always fires: without it no other one would.",
        targets=[Target('count(ALERTS{alertname="Watchdog",alertstate="firing"})')],
        unit="bool_yes_no",
        none="silent",
    )
    yield Number(
        title="Targets that do not answer",
        targets=[Target("count(up == 0) or vector(0)")],
        unit="none",
        thresholds=[(1, "red")],
    )
    yield Number(title="Series", targets=[Target(f"max(prometheus_tsdb_head_series{{{_OWN}}})")], unit="short")
    if has(scope, "node-exporter"):
        yield Number(
            title="Days until the first disk is full",
            about="At the pace of the last 6 hours.",
            targets=[Target(f"min({disk_days()})")],
            unit="suffix: days",
            decimals=0,
            none="none fills",
            thresholds=[(0, "red"), (3, "orange"), (14, "green")],
        )
    if has(scope, "loki"):
        received = f"sum(rate(loki_distributor_bytes_received_total{{{_LOKI}}}[1h]))"
        yield Number(title="Logs a day", targets=[Target(f"{_DAY} * {received}")], unit="bytes")
        # Two spellings: it moved from the index's shipper to the compactor.
        last = " or ".join(
            f"max(loki_{name}_last_successful_run_timestamp_seconds{{{_LOKI}}})"
            for name in ("compactor_apply_retention", "boltdb_shipper_compact_tables_operation")
        )
        yield Number(
            title="Compactor ran",
            about="Loki deletes nothing while it does not.",
            targets=[Target(f"1000 * ({last})")],
            unit="dateTimeFromNow",
        )


def _disks(scope: Scope) -> Iterator[Panel]:
    size = scope.monitoring.retention.size
    if has(scope, "node-exporter"):
        disk = f"{{{DISK}}}"
        host = 'on (instance) group_left (nodename) node_uname_info{job="node"}'
        left = f"min by (instance, device) (predict_linear(node_filesystem_avail_bytes{disk}[6h], {_DAY}))"
        days = f"min by (nodename, device) (({disk_days()}) * {host})"
        free = f"min by (nodename, device) (min by (instance, device) (node_filesystem_avail_bytes{disk}) * {host})"
        columns = [
            Column("Free", free, "bytes"),
            Column("Free in a day", f"min by (nodename, device) (({left}) * {host})", "bytes", None, [(0, "text")]),
            Column("Days left", days, "short", 1, [(0, "red"), (3, "orange"), (14, "green")]),
        ]
        labels = {"nodename": "Host", "device": "Disk"}
        yield Table(title="Days of disk left", labels=labels, columns=columns, width=12)
    used = f"prometheus_tsdb_storage_blocks_bytes{{{_OWN}}}"
    yield Graph(
        title="What Prometheus keeps",
        about="At its limit the oldest goes first.",
        targets=[
            Target(f"max({used})", "blocks"),
            Target(f"max(prometheus_tsdb_wal_storage_size_bytes{{{_OWN}}})", "log of writes"),
        ],
        unit="bytes",
        limit=float(size),
        width=6,
    )
    if has(scope, "loki"):
        kept = scope.monitoring.retention.logs
        yield Graph(
            title="What Loki will keep",
            about="What it gets, for as long as it keeps it, before it is compressed. It has no limit by size.",
            targets=[Target(f"{kept:.0f} * sum(rate(loki_distributor_bytes_received_total{{{_LOKI}}}[1h]))", "logs")],
            unit="bytes",
            width=6,
        )


def _targets() -> Iterator[Panel]:
    yield Timeline(
        title="Answers, by job and service",
        targets=[Target("min by (job, service) (up)", "{{job}} {{service}}")],
        unit="bool_yes_no",
        thresholds=[(1, "green")],
        width=12,
        height=14,
    )
    labels = {"job": "Job", "service": "Service", "instance": "Address"}
    column = Column("", f"max by ({', '.join(labels)}) (up == 0)")
    yield Table(title="What does not answer", labels=labels, columns=[column], width=12, height=7)
    yield Graph(
        title="Time to ask",
        targets=[Target("max by (job) (scrape_duration_seconds)", "{{job}}")],
        unit="s",
        width=6,
        height=7,
    )
    yield Graph(
        title="Samples of each job",
        targets=[Target("sum by (job) (scrape_samples_scraped)", "{{job}}")],
        unit="short",
        width=6,
        height=7,
    )


def _prometheus() -> Iterator[Panel]:
    def every(title: str, expr: str, legend: str, unit: str) -> Panel:
        return Graph(title=title, targets=[Target(expr, legend)], unit=unit, width=6)

    def rate(name: str) -> str:
        return f"sum(rate({name}{{{_OWN}}}[$__rate_interval]))"

    yield every("Samples", rate("prometheus_tsdb_head_samples_appended_total"), "samples", "cps")
    yield every("Series", f"max(prometheus_tsdb_head_series{{{_OWN}}})", "series", "short")
    yield every("Rules that fail", rate("prometheus_rule_evaluation_failures_total"), "failed", "cps")
    slowest = f'max(prometheus_engine_query_duration_seconds{{{_OWN},quantile="0.99",slice="inner_eval"}})'
    yield every("Slow queries, p99", slowest, "p99", "s")
    late = f"max by (rule_group) (prometheus_rule_group_last_duration_seconds{{{_OWN}}})"
    yield every("Time to work out rules", f"topk(5, {late})", "{{rule_group}}", "s")
    yield every("Memory", f"max(process_resident_memory_bytes{{{_OWN}}})", "memory", "bytes")
    yield every("Alerts that were not delivered", rate("prometheus_notifications_dropped_total"), "dropped", "cps")
    reload = f"min(prometheus_config_last_reload_successful{{{_OWN}}})"
    yield Timeline(
        title="Configuration was read",
        targets=[Target(reload, "read")],
        unit="bool_yes_no",
        thresholds=[(1, "green")],
        width=6,
    )


def _alertmanager() -> Iterator[Panel]:
    own = 'job="alertmanager"'
    for name, title in (
        ("notifications_total", "Messages sent"),
        ("notifications_failed_total", "Messages that failed"),
    ):
        expr = f"sum by (integration) (rate(alertmanager_{name}{{{own}}}[$__rate_interval])) > 0"
        yield Graph(title=title, targets=[Target(expr, "{{integration}}")], unit="cps")
    yield Graph(
        title="Alerts",
        targets=[Target(f"max by (state) (alertmanager_alerts{{{own}}})", "{{state}}")],
        unit="short",
    )


def _loki() -> Iterator[Panel]:
    answers = "loki_request_duration_seconds"
    yield Graph(
        title="Lines that come in",
        targets=[Target(f"sum(rate(loki_distributor_lines_received_total{{{_LOKI}}}[$__rate_interval]))", "lines")],
        unit="cps",
        width=6,
    )
    yield Graph(
        title="Lines that were refused",
        targets=[
            Target(f"sum by (reason) (rate(loki_discarded_samples_total{{{_LOKI}}}[$__rate_interval]))", "{{reason}}")
        ],
        unit="cps",
        width=6,
    )
    yield Graph(
        title="Streams in memory",
        targets=[Target(f"sum(loki_ingester_memory_streams{{{_LOKI}}})", "streams")],
        unit="short",
        width=6,
    )
    failed = f'sum by (route) (rate({answers}_count{{{_LOKI},status_code=~"5.."}}[$__rate_interval]))'
    yield Graph(title="Requests that failed", targets=[Target(failed, "{{route}}")], unit="reqps", width=6)
    slow = f"sum by (le, route) (rate({answers}_bucket{{{_LOKI}}}[$__rate_interval]))"
    yield Graph(
        title="Duration of requests, p95",
        targets=[Target(f"histogram_quantile(0.95, {slow}) >= 0", "{{route}}")],
        unit="s",
        width=12,
    )
    yield Graph(
        title="Memory",
        targets=[Target(f"max(process_resident_memory_bytes{{{_LOKI}}})", "memory")],
        unit="bytes",
        width=12,
    )


def _alloy() -> Iterator[Panel]:
    def rate(title: str, name: str, by: str, unit: str = "cps") -> Panel:
        expr = f"sum by ({by}) (rate({name}{{{_ALLOY}}}[$__rate_interval]))"
        return Graph(title=title, targets=[Target(expr, f"{{{{{by}}}}}")], unit=unit, width=6)

    yield rate("Lines read", "loki_source_docker_target_entries_total", "instance")
    yield rate("Lines sent", "loki_write_sent_entries_total", "instance")
    yield rate("Lines given up", "loki_write_dropped_entries_total", "reason")
    yield rate("Lines left out: too old", "loki_process_dropped_lines_total", "reason")
    components = f"sum by (health_type) (alloy_component_controller_running_components{{{_ALLOY}}})"
    yield Graph(title="Components", targets=[Target(components, "{{health_type}}")], unit="short", width=12)
    yield Graph(
        title="Memory",
        targets=[
            Target(f"max by (instance) (alloy_resources_process_resident_memory_bytes{{{_ALLOY}}})", "{{instance}}")
        ],
        unit="bytes",
        width=12,
    )
