"""What watches the watchers: Prometheus, Alertmanager, the prober, Grafana, and the dead man's switch."""

from __future__ import annotations

from llmdeploy.config.watching import PartName
from llmdeploy.monitoring.rules.build import Alert, Group, Severity
from llmdeploy.monitoring.scope import Scope


def groups(scope: Scope) -> list[Group]:
    """The alerts about the monitoring itself, of the parts that are there."""
    down = {
        "alertmanager": gone("AlertmanagerDown", "alertmanager", "page", "nobody is told of alerts"),
        "blackbox-exporter": gone(
            "BlackboxExporterDown", "blackbox-exporter", "page", "health and edge are not watched"
        ),
        "grafana": gone("GrafanaDown", "grafana", "ticket", "there are no dashboards"),
    }
    told = _alertmanager() if "alertmanager" in scope.parts else []
    return [
        Group("watchdog", [_watchdog()]),
        Group("prometheus-alerts", [*_prometheus(), *told]),
        Group("monitoring-alerts", [alert for name, alert in down.items() if name in scope.parts]),
    ]


def gone(name: str, part: PartName, severity: Severity, so: str) -> Alert:
    """The alert about a part of which nothing answers; `so`: what that means."""
    return Alert(
        name,
        f'absent(up{{job="{part}"}} == 1)',
        "2m" if severity == "page" else "5m",
        severity,
        f"{part} does not answer: {so}",
        labels={"service": part},
    )


def _watchdog() -> Alert:
    return Alert(
        "Watchdog",
        "vector(1)",
        "",
        "none",
        "Alerting works; this alert always fires",
        "Give it to a dead man's switch (`watchdog: true` of a receiver), which tells you when it stops coming.",
    )


def _own(name: str, expr: str, for_: str, summary: str, severity: Severity = "ticket") -> Alert:
    return Alert(name, expr, for_, severity, summary, labels={"service": "prometheus"})


def _prometheus() -> list[Alert]:
    own = 'job="prometheus"'
    broken = " or ".join(
        f"(sum(increase(prometheus_tsdb_{name}_total{{{own}}}[3h])) > 0)"
        for name in ("compactions_failed", "wal_corruptions", "reloads_failures", "head_truncations_failed")
    )
    return [
        _own(
            "PrometheusConfigReloadFailed",
            f"max(prometheus_config_last_reload_successful{{{own}}}) == 0",
            "5m",
            "Prometheus could not read its configuration and goes on with the old one",
        ),
        _own(
            "PrometheusRuleFailures",
            f"sum by (rule_group) (increase(prometheus_rule_evaluation_failures_total{{{own}}}[5m])) > 0",
            "10m",
            "Rules of {{ $labels.rule_group }} fail: their alerts cannot fire",
        ),
        _own(
            "PrometheusRulesLate",
            f"sum by (rule_group) (increase(prometheus_rule_group_iterations_missed_total{{{own}}}[15m])) > 2",
            "15m",
            "Rules of {{ $labels.rule_group }} take longer than their interval",
        ),
        _own("PrometheusStorageFailing", broken, "", "Prometheus has trouble with its data on disk"),
        _own(
            "PrometheusScrapesRejected",
            f"""
            sum(increase(prometheus_target_scrapes_exceeded_sample_limit_total{{{own}}}[15m])
              + increase(prometheus_target_scrapes_sample_out_of_order_total{{{own}}}[15m])) > 10""",
            "15m",
            "Prometheus refuses what targets tell: too many series, or samples out of order",
        ),
    ]


def _alertmanager() -> list[Alert]:
    own = 'job="prometheus"'
    lost = f"sum(rate(prometheus_notifications_dropped_total{{{own}}}[5m])) > 0"
    errors = f"sum(rate(prometheus_notifications_errors_total{{{own}}}[5m]))"
    sent = f"sum(rate(prometheus_notifications_sent_total{{{own}}}[5m]))"
    failed = 'sum by (integration) (rate(alertmanager_notifications_failed_total{job="alertmanager"}[5m]))'
    return [
        _own(
            "NotificationsFailing",
            f"({lost}) or ({errors} / ({sent} > 0) > 0.05)",
            "10m",
            "Prometheus cannot give its alerts to Alertmanager",
            "page",
        ),
        Alert(
            "AlertmanagerNotificationsFailing",
            f"{failed} > 0",
            "5m",
            "page",
            "Alertmanager cannot tell anybody by {{ $labels.integration }}",
            labels={"service": "alertmanager"},
        ),
        Alert(
            "AlertmanagerConfigReloadFailed",
            'max(alertmanager_config_last_reload_successful{job="alertmanager"}) == 0',
            "5m",
            "ticket",
            "Alertmanager could not read its configuration and goes on with the old one",
            labels={"service": "alertmanager"},
        ),
    ]
