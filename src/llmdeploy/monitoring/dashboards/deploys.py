"""Releases: what runs, how often something is deployed, what became of it, and how services did around it."""

from __future__ import annotations

from collections.abc import Iterator

from llmdeploy.monitoring.dashboards.build import Dashboard, Panel, Row, Target
from llmdeploy.monitoring.dashboards.overview import SERVICE_LINK
from llmdeploy.monitoring.dashboards.panels import Column, Graph, Logs, Number, Table
from llmdeploy.monitoring.dashboards.shared import FAILED, RELEASES, has, made
from llmdeploy.monitoring.scope import Scope

_ENDED = f'{RELEASES} | state="ended"'
_LINE = (
    "| line_format `{{.action}} {{.release}} {{.state}} {{.result}} {{.services}} {{.seconds}} {{.user}} {{.git}} "
    "{{.message}}`"
)


def dashboard(scope: Scope) -> Dashboard:
    """A week of releases."""
    rows = [
        Row("Newest release", list(_newest()) if has(scope, "node-exporter") else []),
        Row("Over the time that is shown", list(_counts()) if has(scope, "loki") else []),
        Row("Services around releases", list(_around(scope))),
        Row("What runs", [_running()] if has(scope, "node-exporter") else []),
        Row("Every release", [_list()] if has(scope, "loki") else []),
    ]
    about = "Every deploy, update, rollback and scale, and what services did around it."
    return made(scope, "deploys", "Releases", about, rows, since="now-7d")


def _newest() -> Iterator[Panel]:
    yield Number(
        title="Newest release",
        targets=[Target("max by (action, result) (llmdeploy:release_number)", "{{action}}: {{result}}")],
        unit="none",
        shown="value_and_name",
        width=6,
    )
    yield Number(
        title="It ended",
        targets=[Target("1000 * max(llmdeploy:release_timestamp_seconds)")],
        unit="dateTimeFromNow",
        width=6,
    )
    yield Number(
        title="It took",
        targets=[Target("max by (action) (llmdeploy:release_duration_seconds)", "{{action}}")],
        unit="s",
        width=6,
    )
    yield Number(
        title="Releases so far",
        targets=[Target("sum by (action, result) (llmdeploy:releases_total)", "{{action}}: {{result}}")],
        unit="short",
        shown="value_and_name",
        width=6,
    )


def _counts() -> Iterator[Panel]:
    every, failed = (f"sum(count_over_time({chosen} [$__range]))" for chosen in (_ENDED, f"{RELEASES} | {FAILED}"))
    yield Number(title="Releases", targets=[Target(every, source="loki")], unit="short", none="0", width=6)
    yield Number(
        title="Failed or taken back",
        targets=[Target(failed, source="loki")],
        unit="short",
        none="0",
        thresholds=[(1, "red")],
        width=6,
    )
    yield Number(
        title="Change failure rate",
        about="Failed or taken back, of all. `llmdeploy ENV history --dora` knows all that ever were.",
        targets=[Target(f"{failed} / {every}", source="loki")],
        unit="percentunit",
        none="0 %",
        thresholds=[(0.15, "orange"), (0.3, "red")],
        width=6,
    )
    mean = f"avg(avg_over_time({_ENDED} | unwrap seconds [$__range]))"
    yield Number(title="Mean duration", targets=[Target(mean, source="loki")], unit="s", width=6)


def _around(scope: Scope) -> Iterator[Panel]:
    yield Graph(
        title="Errors",
        targets=[Target("service:error_ratio:rate5m", "{{service}}")],
        unit="percentunit",
        limit=scope.monitoring.alerts.error_budget,
    )
    yield Graph(
        title="Latency, p95",
        targets=[Target("max by (service) (service:latency_seconds:p95_5m)", "{{service}}")],
        unit="s",
    )
    if has(scope, "node-exporter"):
        version = "max by (service, version) (llmdeploy:release_info)"
        yield Graph(
            title="Errors by version",
            targets=[
                Target(
                    f"service:error_ratio:rate5m * on (service) group_left (version) ({version})",
                    "{{service}} {{version}}",
                )
            ],
            unit="percentunit",
        )
    if has(scope, "loki"):
        yield Graph(
            title="Releases by action",
            targets=[Target(f"sum by (action) (count_over_time({_ENDED} [$__interval]))", "{{action}}", "loki")],
            unit="short",
            stacked=True,
            width=12,
        )
        yield Graph(
            title="Duration by action",
            targets=[
                Target(
                    f"max by (action) (max_over_time({_ENDED} | unwrap seconds [$__interval]))",
                    "{{action}}",
                    "loki",
                )
            ],
            unit="s",
            width=12,
        )


def _running() -> Table:
    labels = {"service": "Service", "version": "Version", "image": "Image", "release": "Release"}
    column = Column("", f"max by ({', '.join(labels)}) (llmdeploy:release_info)")
    return Table(
        title="What runs", labels=labels, columns=[column], links={"Service": SERVICE_LINK}, sort="Service", height=12
    )


def _list() -> Panel:
    return Logs(title="Every release", targets=[Target(f"{RELEASES} {_LINE}", source="loki")])
