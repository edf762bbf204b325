"""The edge: what clients send and get back by the word of HAProxy, whether its ports answer, its certificate."""

from __future__ import annotations

from llmdeploy.monitoring.rules.build import Alert, Group, Record, Rule
from llmdeploy.monitoring.rules.words import number
from llmdeploy.monitoring.scope import Scope

_PROXY = 'job="edge",proxy=~".+-[0-9]+"'  # SERVICE-PORT; the others are HAProxy's own
_DAY = 86400
_SOON, _NOW = 21, 3  # days; status warns at 21, too, and deploys renew what llmdeploy issues at 60 left
_TOO_MANY = 0.05  # of the answers


def groups(scope: Scope) -> list[Group]:
    """What is recorded of the edge, and the alerts about it; nothing where no port is published."""
    if not any(port.edge for service in scope.services.values() for port in service.ports):
        return []
    alerts = [*_alerts(scope), *(_probe_alerts() if "blackbox-exporter" in scope.parts else [])]
    return [
        Group("edge", [*_traffic(), *_state()]),
        Group("edge-alerts", [*alerts, *(_certificate_alerts() if scope.settings.has_tls else [])]),
    ]


def _by_port(expr: str, function: str = "sum", keep: str = "") -> str:
    """PromQL: `expr` of HAProxy by service and published port, which its proxies are named by."""
    named = f'label_replace({expr}, "service", "$1", "proxy", "(.+)-[0-9]+")'
    named = f'label_replace({named}, "port", "$1", "proxy", ".+-([0-9]+)")'
    return f"{function} by (service, port{keep}) ({named})"


def _traffic() -> list[Rule]:
    answers = f"haproxy_frontend_http_responses_total{{{_PROXY}}}"
    rules: list[Rule] = [
        Record("edge:requests:rate5m", _by_port(f"rate(haproxy_frontend_http_requests_total{{{_PROXY}}}[5m])")),
        Record("edge:responses:rate5m", _by_port(f"rate({answers}[5m])", keep=", code")),
        Record("edge:errors:rate5m", 'sum by (service, port) (edge:responses:rate5m{code="5xx"})'),
        Record(
            "edge:error_ratio:rate5m",
            "edge:errors:rate5m / on (service, port) (sum by (service, port) (edge:responses:rate5m) > 0)",
        ),
        Record("edge:connections:rate5m", _by_port(f"rate(haproxy_frontend_connections_total{{{_PROXY}}}[5m])")),
    ]
    for direction in ("in", "out"):
        moved = _by_port(f"rate(haproxy_frontend_bytes_{direction}_total{{{_PROXY}}}[5m])")
        rules.append(Record("edge:bytes:rate5m", moved, {"direction": direction}))
    return rules


def _state() -> list[Rule]:
    return [
        Record("edge:sessions", _by_port(f"haproxy_frontend_current_sessions{{{_PROXY}}}")),
        Record("edge:servers_up", _by_port(f"haproxy_backend_active_servers{{{_PROXY}}}", "min")),
        Record("edge:latency_seconds:mean", _by_port(f"haproxy_backend_total_time_average_seconds{{{_PROXY}}}", "max")),
        Record("edge:probe_success", 'max by (service, port) (probe_success{job="edge-probe"})'),
    ]


def _alerts(scope: Scope) -> list[Rule]:
    busy = f"on (service, port) (edge:requests:rate5m * 300 >= {number(scope.monitoring.alerts.minimum)})"
    return [
        Alert(
            "EdgeDown",
            'absent(up{job="edge"} == 1)',
            "2m",
            "page",
            "No edge answers: nothing reaches the stack",
            labels={"service": "edge"},
        ),
        Alert(
            "EdgeErrors",
            f"(edge:error_ratio:rate5m > {number(_TOO_MANY)}) and {busy}",
            "5m",
            "page",
            "{{ $labels.service }}: clients get 5xx for {{ $value | humanizePercentage }} of the requests "
            "to port {{ $labels.port }}",
        ),
    ]


def _probe_alerts() -> list[Rule]:
    return [
        Alert(
            "EdgeProbeFailing",
            "edge:probe_success == 0",
            "2m",
            "page",
            "{{ $labels.service }}: port {{ $labels.port }} does not answer through any edge",
        ),
        Alert(
            "EdgeHostFailing",
            """
            (min by (service, port, instance) (probe_success{job="edge-probe"}) == 0)
            and on (service, port) (edge:probe_success == 1)""",
            "5m",
            "ticket",
            "{{ $labels.service }}: port {{ $labels.port }} does not answer through the edge {{ $labels.instance }}",
        ),
    ]


def _certificate_alerts() -> list[Rule]:
    # What the edge shows to clients counts; what it was given, where nobody looks at what it shows.
    ends = """
        (min(probe_ssl_earliest_cert_expiry{job="edge-probe"} > 0)
         or min(llmdeploy_edge_certificate_expiry_timestamp_seconds)) - time()"""
    return [
        Alert(
            "CertificateExpiresSoon",
            f"({ends}) < {_SOON * _DAY} >= {_NOW * _DAY}",
            "30m",
            "ticket",
            "The edge's certificate ends in {{ $value | humanizeDuration }}",
            labels={"service": "edge"},
        ),
        Alert(
            "CertificateExpires",
            f"({ends}) < {_NOW * _DAY}",
            "5m",
            "page",
            "The edge's certificate ends in {{ $value | humanizeDuration }}",
            "Every client refuses the stack when it has ended.",
            labels={"service": "edge"},
        ),
    ]
