"""What a release asks Prometheus, and where the monitoring is found: what engine/metrics.py reads of a job."""

from __future__ import annotations

from typing import Any

from llmdeploy.config.models import Settings
from llmdeploy.config.verifying import MetricCheck
from llmdeploy.config.watching import PartName

ASKED: tuple[PartName, ...] = ("prometheus", "alertmanager", "loki")  # those that the engine talks to
# As the recording rules have it, too (docs/metrics.md).
# Routes that machines ask every few seconds; counting them would hide what users see.
PROBES = "/health.*|/ready.*|/live.*|/metrics"
# Codes that are the server's fault, in the spellings of gRPC's libraries (Go: DeadlineExceeded, others:
# DEADLINE_EXCEEDED). Refusals (InvalidArgument, Unauthenticated, ResourceExhausted…) are the caller's, as 4xx are.
GRPC_ERRORS = "(?i:unknown|deadline_?exceeded|internal|unavailable|data_?loss)"
LEAST_TRAFFIC = 0.1  # requests a second; with fewer than six in a minute one error decides nothing
# Alerts about what the engine has just seen itself: they end some looks of Prometheus after a slow start has, and each
# release starts containers.
KNOWN_BETTER = "ServiceDown|EdgeProbeFailing|RestartLoop"
_ASKED_TIMES, _APART, _FIRST = 3, 10.0, 15.0  # so that all is known after 35 s

_OURS = 'job="services",service=~"$services"'
_HTTP = f'{_OURS},route!~"{PROBES}"'
_GRPC = f'{_OURS},grpc_service!="grpc.health.v1.Health"'


def metric_checks(settings: Settings, *, watched: bool) -> list[dict[str, Any]]:
    """The metric checks of a job: those of the files, else the usual ones where the monitoring is there (`watched`)."""
    given = settings.verify.metrics
    if given is None:
        given = _usual(settings.monitoring.interval) if watched else []
    return [check.model_dump() for check in given]


def watch(settings: Settings) -> dict[str, dict[str, Any]]:
    """Where the engine finds which part of the monitoring: `{name: {"port": of the edge, "tls": whether it has}}`.

    Only those that are among the services and published; empty while the monitoring is off.
    """
    found: dict[str, dict[str, Any]] = {}
    for name in ASKED if settings.monitoring.enabled else ():
        service = settings.services.get(name)
        port = next((port for port in service.ports if port.edge), None) if service else None
        if port:
            found[name] = {"port": port.edge, "tls": settings.secured(port)}
    return found


def _usual(interval: float) -> list[MetricCheck]:
    """The default set. `interval`: seconds between two looks of Prometheus; a rate needs a few of them."""
    window = f"{max(60, round(4 * interval))}s"
    return [_errors(window), _latency(window), _restarts(), _alerts()]


def _check(name: str, query: str, success: str, **more: Any) -> MetricCheck:
    usual = {"count": _ASKED_TIMES, "interval": _APART, "initial_delay": _FIRST, "failure_limit": 1}
    return MetricCheck(name=name, query=" ".join(query.split()), success=success, **{**usual, **more})


def _rate(window: str, *, errors: bool = False) -> str:
    """PromQL: requests a second of each service, over HTTP and gRPC together."""
    code = ',code=~"5.."' if errors else ""
    grpc_code = f',grpc_code=~"{GRPC_ERRORS}"' if errors else ""
    return f"""
        sum by (service) (
          label_replace(rate(http_requests_total{{{_HTTP}{code}}}[{window}]), "protocol", "http", "", "")
          or label_replace(rate(grpc_server_handled_total{{{_GRPC}{grpc_code}}}[{window}]), "protocol", "grpc", "", "")
        )"""


def _errors(window: str) -> MetricCheck:
    """Of what has more traffic than nothing: errors of all requests. Half as much again as before is no news."""
    ratio = f"{_rate(window, errors=True)} / ({_rate(window)} > {LEAST_TRAFFIC})"
    return _check("error ratio", ratio, "<= 0.05 or <= before * 1.5")


def _latency(window: str) -> MetricCheck:
    """Twice as slow and half a second more: buckets of histograms are that coarse, and answers of models that long."""
    http, grpc = (
        f"histogram_quantile(0.95, sum by (service, le) (rate({buckets}[{window}]))) >= 0"  # NaN without requests
        for buckets in (
            f"http_request_duration_seconds_bucket{{{_HTTP}}}",
            f"grpc_server_handling_seconds_bucket{{{_GRPC}}}",
        )
    )
    busy = f"({_rate(window)} > {LEAST_TRAFFIC})"
    return _check("p95 latency", f"(({http}) or ({grpc})) and on (service) {busy}", "<= before * 2 + 0.5")


def _restarts() -> MetricCheck:
    """Containers that began after the services were up, asked once at the end. The engine forgives one crash as well.

    The subquery is the moment `$window` ago, in words that every Prometheus knows.
    """
    up = "scalar(min_over_time(vector(time())[$window:1s]))"
    starts = 'last_over_time(container_start_time_seconds{job="cadvisor",service=~"$services"}[$window])'
    last = _FIRST + (_ASKED_TIMES - 1) * _APART
    query = f"count by (service) ({starts} > {up})"
    return _check("restarts", query, "<= 1", count=1, failure_limit=0, initial_delay=last)


def _alerts() -> MetricCheck:
    """Alerts that somebody would be woken for, and that do not end meanwhile: some are about the time in between."""
    query = f"""
        count by (service) (
          ALERTS{{alertstate="firing",severity="page",service=~"$services",alertname!~"{KNOWN_BETTER}"}}
        )"""
    return _check("alerts firing", query, "<= 0 or <= before", failure_limit=_ASKED_TIMES - 1)
