"""Whether logs are collected and kept: Loki and Alloy."""

from __future__ import annotations

from llmdeploy.monitoring.rules.build import Alert, Group
from llmdeploy.monitoring.rules.watchers import gone
from llmdeploy.monitoring.scope import Scope

_MANY, _TIMES = 0.2, 3  # lines a second; of the hour's average
_LATE = 3 * 3600  # seconds; the compactor runs every ten minutes


def groups(scope: Scope) -> list[Group]:
    """The alerts about logs, of the parts that are there."""
    return [
        Group("loki-alerts", _loki() if "loki" in scope.parts else []),
        Group("alloy-alerts", _alloy() if "alloy" in scope.parts else []),
    ]


def _loki() -> list[Alert]:
    failed = 'sum by (route) (rate(loki_request_duration_seconds_count{job="loki",status_code=~"5.."}[5m]))'
    every = 'sum by (route) (rate(loki_request_duration_seconds_count{job="loki"}[5m]))'
    # Two spellings: it moved from the index's shipper to the compactor.
    last = "loki_(compactor|boltdb_shipper)_(apply_retention|compact_tables_operation)_last_successful_run_.*"
    loki = {"service": "loki"}
    return [
        gone("LokiDown", "loki", "ticket", "logs can be neither kept nor searched"),
        Alert(
            "LokiRequestErrors",
            f"{failed} / ({every} > 0) > 0.05",
            "10m",
            "ticket",
            "Loki fails {{ $value | humanizePercentage }} of the requests to {{ $labels.route }}",
            labels=loki,
        ),
        Alert(
            "LokiCompactorNotRunning",
            f'time() - max({{__name__=~"{last}",job="loki"}}) > {_LATE}',
            "1h",
            "ticket",
            "Loki deletes no old logs: its compactor has not run for {{ $value | humanizeDuration }}",
            labels=loki,
        ),
    ]


def _errors(window: str) -> str:
    """PromQL: lines of errors a second by service. Alloy counts them, so Prometheus moves their label aside."""
    lines = f'rate(loki_process_custom_log_lines_total{{job="alloy",level=~"error|critical"}}[{window}])'
    return f'sum by (service) (label_replace({lines}, "service", "$1", "exported_service", "(.+)"))'


def _alloy() -> list[Alert]:
    unhealthy = 'alloy_component_controller_running_components{job="alloy",health_type!="healthy"}'
    return [
        Alert(
            "AlloyDown",
            '(max by (instance) (up{job="alloy"}) == 0) or absent(up{job="alloy"})',
            "5m",
            "ticket",
            "Alloy {{ $labels.instance }} does not answer: logs of its host may be missing",
            labels={"service": "alloy"},
        ),
        Alert(
            "AlloyDroppedEntries",
            'sum by (reason) (increase(loki_write_dropped_entries_total{job="alloy"}[15m])) > 0',
            "5m",
            "ticket",
            "Alloy gave up {{ $value | humanize }} lines of logs: {{ $labels.reason }}",
            labels={"service": "alloy"},
        ),
        Alert(
            "AlloyUnhealthy",
            f"sum by (instance) ({unhealthy}) > 0",
            "15m",
            "ticket",
            "{{ $value }} components of Alloy {{ $labels.instance }} do not work",
            labels={"service": "alloy"},
        ),
        Alert(
            "LogErrorSpike",
            f"({_errors('5m')} > {_MANY}) and on (service) ({_errors('5m')} > {_TIMES} * {_errors('1h')})",
            "5m",
            "ticket",
            "{{ $labels.service }} writes {{ $value | humanize }} errors a second into its logs, far more than before",
            f"More than {_MANY} a second, and {_TIMES} times as many as in the hour.",
        ),
    ]
