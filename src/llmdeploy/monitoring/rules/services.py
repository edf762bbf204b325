"""Requests, errors and latency of every service, out of its own HTTP and gRPC metrics (docs/metrics.md)."""

from __future__ import annotations

from llmdeploy.monitoring.rules.build import Alert, Group, Record, Rule
from llmdeploy.monitoring.rules.words import GRPC_ERRORS, PROBES, duration, number, seconds
from llmdeploy.monitoring.scope import Scope, metrics_of

_HTTP = f'http_requests_total{{job="services",route!~"{PROBES}"}}'
_HTTP_ERRORS = f'http_requests_total{{job="services",route!~"{PROBES}",code=~"5.."}}'
_GRPC = 'grpc_server_handled_total{job="services",grpc_service!="grpc.health.v1.Health"}'
_GRPC_ERRORS = (
    f'grpc_server_handled_total{{job="services",grpc_service!="grpc.health.v1.Health",grpc_code=~"{GRPC_ERRORS}"}}'
)
_LATENCY = {
    "http": f'http_request_duration_seconds_bucket{{job="services",route!~"{PROBES}"}}',
    "grpc": 'grpc_server_handling_seconds_bucket{job="services",grpc_service!="grpc.health.v1.Health"}',
}
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def groups(scope: Scope) -> list[Group]:
    """What is recorded of services, and the alerts about it."""
    return [
        # With an interval of its own, since slo.py counts on it.
        Group("service-requests", [*_requests(), *_latency()], interval=duration(scope.monitoring.interval)),
        Group("service-alerts", _alerts(scope)),
    ]


def counted(http: str, grpc: str, window: str) -> str:
    """PromQL: how many a second, of both protocols, by service."""
    return " ".join(
        f"""
        sum by (service) (
          label_replace(sum by (service) (rate({http}[{window}])), "protocol", "http", "", "")
          or label_replace(sum by (service) (rate({grpc}[{window}])), "protocol", "grpc", "", "")
        )""".split()
    )


def _requests() -> list[Rule]:
    return [
        Record(
            "service:requests_by_code:rate5m",
            f"""
            label_replace(sum by (service, code) (rate({_HTTP}[5m])), "protocol", "http", "", "")
            or label_replace(sum by (service, code) (
              label_replace(rate({_GRPC}[5m]), "code", "$1", "grpc_code", "(.*)")
            ), "protocol", "grpc", "", "")""",
        ),
        Record("service:requests:rate5m", counted(_HTTP, _GRPC, "5m")),
        # Zero and not nothing where there was no error: what averages it must not skip the good times.
        Record("service:errors:rate5m", f"{counted(_HTTP_ERRORS, _GRPC_ERRORS, '5m')} or 0 * service:requests:rate5m"),
        Record("service:error_ratio:rate5m", "service:errors:rate5m / (service:requests:rate5m > 0)"),
    ]


def _latency() -> list[Rule]:
    return [
        Record(
            f"service:latency_seconds:{name}_5m",
            # NaN without requests; no comparison is true of it, but no dashboard should show it either.
            f"histogram_quantile({share}, sum by (service, le) (rate({buckets}[5m]))) >= 0",
            {"protocol": protocol},
        )
        for name, share in QUANTILES.items()
        for protocol, buckets in _LATENCY.items()
    ]


def _alerts(scope: Scope) -> list[Rule]:
    alerts = scope.monitoring.alerts
    busy = f"on (service) (service:requests:rate5m * 300 >= {number(alerts.minimum)})"
    found: list[Rule] = [
        Alert(
            "ServiceLatencyHigh",
            f"(service:latency_seconds:p95_5m > {number(alerts.latency)}) and {busy}",
            "10m",
            "ticket",
            "{{ $labels.service }} is slow: p95 of {{ $labels.protocol }} is {{ $value | humanizeDuration }}",
            f"The limit is {seconds(alerts.latency)} (`monitoring.alerts.latency`).",
        ),
        Alert(
            "TargetDown",
            """
            (
              (max by (job, service, instance) (up{job="services"}) == 0)
              and on (service) (max by (service) (max_over_time(up{job="services"}[1d])) == 1)
              unless on (service) (service:replicas_running == 0)
            )
            or (max by (job, service, instance) (up{job=~"edge|edge-certificate|node|cadvisor|docker"}) == 0)""",
            "5m",
            "ticket",
            "{{ $labels.job }}{{ with $labels.service }} {{ . }}{{ end }}: {{ $labels.instance }} tells no metrics",
        ),
    ]
    # Where the catalogue names the port. Others are asked by guess, and need not have any.
    told = [name for name, service in scope.services.items() if service.metrics.port and metrics_of(service)]
    if told and "blackbox-exporter" in scope.parts:
        found.append(
            Alert(
                "MetricsMissing",
                f"""
                (service:replicas_running{{service=~"{"|".join(told)}"}} > 0)
                unless on (service) (max by (service) (max_over_time(up{{job="services"}}[1d])) == 1)""",
                "15m",
                "ticket",
                "{{ $labels.service }} runs, but nothing answers where the catalogue says that its metrics are",
            )
        )
    return found
