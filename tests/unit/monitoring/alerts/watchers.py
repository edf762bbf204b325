"""The monitoring itself: monitoring.yml."""

from collections.abc import Iterable

from tests.unit.monitoring.alerts.cases import Case, Series, Table, scope


def up(part: str, values: str = "1x60") -> Series:
    return {f'up{{job="{part}",service="{part}",instance="{part}"}}': values}


def own(name: str, more: str = "", job: str = "prometheus") -> str:
    return f'{name}{{job="{job}",service="{job}",instance="p"{more}}}'


GROUP = ',rule_group="g"'
ROUTE = ',route="push"'
COMPACTED = own("loki_compactor_apply_retention_last_successful_run_timestamp_seconds", job="loki")
COMPACTED_3_0 = own("loki_boltdb_shipper_compact_tables_operation_last_successful_run_timestamp_seconds", job="loki")
DROPPED = own("loki_write_dropped_entries_total", ',reason="ingester_error"', "alloy")
LOKI = "loki_request_duration_seconds_count"
PARTS = ("alertmanager", "blackbox-exporter", "grafana", "loki", "alloy")
HEALTHY: Series = {
    **{name: values for part in PARTS for name, values in up(part).items()},
    own("prometheus_config_last_reload_successful"): "1x60",
    own("prometheus_rule_evaluation_failures_total", GROUP): "0x60",
    own("prometheus_rule_group_iterations_missed_total", GROUP): "0x60",
    own("prometheus_tsdb_compactions_failed_total"): "0x60",
    own("prometheus_notifications_dropped_total"): "0x60",
    own("prometheus_notifications_errors_total"): "0x60",
    own("prometheus_notifications_sent_total"): "0x60",
    own("alertmanager_notifications_failed_total", ',integration="webhook"', "alertmanager"): "0x60",
    own("alertmanager_config_last_reload_successful", "", "alertmanager"): "1x60",
    own(LOKI, f'{ROUTE},status_code="204"', "loki"): "0+60x60",
    COMPACTED: "0+60x60",
    DROPPED: "0x60",
    own("alloy_component_controller_running_components", ',health_type="healthy"', "alloy"): "9x60",
    own("alloy_component_controller_running_components", ',health_type="unhealthy"', "alloy"): "0x60",
}


def down() -> Iterable[Case]:
    """Every part as one that has gone, and as one that is there."""
    for alert, part in {
        "AlertmanagerDown": "alertmanager",
        "BlackboxExporterDown": "blackbox-exporter",
        "GrafanaDown": "grafana",
        "LokiDown": "loki",
    }.items():
        yield Case(alert, up(part, "1x5 0x30"), "15m", [{"service": part}])
        yield Case(alert, {}, "15m", [{"service": part}])
        yield Case(alert, up(part), "15m")


FAILED = own("alertmanager_notifications_failed_total", ',integration="webhook"', "alertmanager")
LINES = (
    'loki_process_custom_log_lines_total{job="alloy",instance="a",service="alloy",exported_service="web",level="error"}'
)
UNHEALTHY = own("alloy_component_controller_running_components", ',health_type="unhealthy"', "alloy")
PROMETHEUS = {"service": "prometheus"}
CASES = [
    Case("Watchdog", {}, "0m", [{}]),
    *down(),
    Case(
        "PrometheusConfigReloadFailed", {own("prometheus_config_last_reload_successful"): "0x30"}, "10m", [PROMETHEUS]
    ),
    Case("PrometheusConfigReloadFailed", {own("prometheus_config_last_reload_successful"): "1x30"}, "10m"),
    Case(
        "PrometheusRuleFailures", {own("prometheus_rule_evaluation_failures_total", GROUP): "0+1x30"}, "20m",
        [{"rule_group": "g"}],
    ),
    Case("PrometheusRuleFailures", {own("prometheus_rule_evaluation_failures_total", GROUP): "0 0 1x30"}, "20m"),
    Case(
        "PrometheusRulesLate", {own("prometheus_rule_group_iterations_missed_total", GROUP): "0+1x60"}, "40m",
        [{"rule_group": "g"}],
    ),
    Case("PrometheusRulesLate", {own("prometheus_rule_group_iterations_missed_total", GROUP): "0x9 1x60"}, "40m"),
    Case("PrometheusStorageFailing", {own("prometheus_tsdb_wal_corruptions_total"): "0x5 1x30"}, "10m", [PROMETHEUS]),
    Case("PrometheusStorageFailing", {own("prometheus_tsdb_wal_corruptions_total"): "1x30"}, "10m"),
    Case(
        "PrometheusScrapesRejected",
        {
            own("prometheus_target_scrapes_exceeded_sample_limit_total"): "0+1x60",
            own("prometheus_target_scrapes_sample_out_of_order_total"): "0x60",
        },
        "40m",
        [PROMETHEUS],
    ),
    Case(
        "PrometheusScrapesRejected",
        {
            own("prometheus_target_scrapes_exceeded_sample_limit_total"): "0x60",
            own("prometheus_target_scrapes_sample_out_of_order_total"): "0x9 5x60",
        },
        "40m",
    ),
    Case("NotificationsFailing", {own("prometheus_notifications_dropped_total"): "0+1x30"}, "20m", [PROMETHEUS]),
    Case(
        "NotificationsFailing",
        {own("prometheus_notifications_errors_total"): "0+1x30", own("prometheus_notifications_sent_total"): "0+2x30"},
        "20m",
        [PROMETHEUS],
    ),
    Case(
        "NotificationsFailing",
        {own("prometheus_notifications_errors_total"): "0x30", own("prometheus_notifications_sent_total"): "0+2x30"},
        "20m",
    ),
    Case("AlertmanagerNotificationsFailing", {FAILED: "0+1x30"}, "10m", [{"integration": "webhook"}]),
    Case("AlertmanagerNotificationsFailing", {FAILED: "4x30"}, "10m"),
    Case(
        "AlertmanagerConfigReloadFailed",
        {own("alertmanager_config_last_reload_successful", "", "alertmanager"): "0x30"},
        "10m",
        [{"service": "alertmanager"}],
    ),
    Case(
        "AlertmanagerConfigReloadFailed",
        {own("alertmanager_config_last_reload_successful", "", "alertmanager"): "1x30"},
        "10m",
    ),
    Case(
        "LokiRequestErrors",
        {
            own(LOKI, f'{ROUTE},status_code="204"', "loki"): "0+50x30",
            own(LOKI, f'{ROUTE},status_code="500"', "loki"): "0+10x30",
        },
        "20m",
        [{"service": "loki", "route": "push"}],
    ),
    Case(
        "LokiRequestErrors",
        {
            own(LOKI, f'{ROUTE},status_code="204"', "loki"): "0+50x30",
            own(LOKI, f'{ROUTE},status_code="429"', "loki"): "0+10x30",
        },
        "20m",
    ),
    Case(
        "AlloyDown", {**up("alloy", "0x30"), 'up{job="alloy",instance="other"}': "1x30"}, "10m", [{"instance": "alloy"}]
    ),
    Case("AlloyDown", up("alloy"), "10m"),
    Case("AlloyDroppedEntries", {DROPPED: "0+1x30"}, "15m", [{"reason": "ingester_error"}]),
    Case("AlloyDroppedEntries", {DROPPED: "7x30"}, "15m"),
    Case("AlloyUnhealthy", {UNHEALTHY: "2x60"}, "20m", [{"instance": "p"}]),
    Case("AlloyUnhealthy", {UNHEALTHY: "0x60"}, "20m"),
    Case("LogErrorSpike", {LINES: "0+1x60 80+60x30"}, "70m", [{"service": "web"}]),
    Case("LogErrorSpike", {LINES: "0+60x90"}, "80m"),
    Case("LogErrorSpike", {LINES: "0x60 0+5x30"}, "80m"),
    Case("LogErrorSpike", {LINES.replace("error", "info"): "0+1x60 80+60x30"}, "80m"),
]  # fmt: skip
HOURS = [
    Case("LokiCompactorNotRunning", {COMPACTED: "0x40"}, "4h30m", [{"service": "loki"}]),
    Case("LokiCompactorNotRunning", {COMPACTED: "0x40", COMPACTED_3_0: "0+600x40"}, "4h30m"),
    Case("LokiCompactorNotRunning", {COMPACTED: "0+600x40"}, "4h30m"),
]
TABLES = [
    Table("monitoring.yml", CASES, HEALTHY, scope()),
    Table("monitoring.yml", HOURS, HEALTHY, scope(), step="10m"),
]
