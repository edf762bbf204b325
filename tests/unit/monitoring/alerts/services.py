"""Requests, latency and error budgets: services.yml."""

from tests.unit.monitoring.alerts.cases import Case, Series, Table, scope

OK = 'http_requests_total{job="services",service="web",instance="i",method="GET",route="/",code="200"}'
BAD = 'http_requests_total{job="services",service="web",instance="i",method="GET",route="/",code="500"}'
LIMITED = 'http_requests_total{job="services",service="web",instance="i",method="GET",route="/",code="429"}'
GRPC = 'grpc_server_handled_total{job="services",service="head",instance="i",grpc_service="s",grpc_method="m"'
UP = 'up{job="services",service="web",instance="i"}'


def buckets(per_minute: dict[str, int], steps: int) -> Series:
    """A histogram of latency by its cumulative buckets."""
    name = 'http_request_duration_seconds_bucket{job="services",service="web",route="/",method="GET",le="%s"}'
    return {name % le: f"0+{count}x{steps}" for le, count in per_minute.items()}


FAST = {"1.0": 30, "10.0": 60, "30.0": 60, "+Inf": 60}
SLOW = {"1.0": 10, "10.0": 20, "30.0": 60, "+Inf": 60}
HEALTHY: Series = {
    OK: "0+60x90",
    BAD: "0x90",
    LIMITED: "0+30x90",
    GRPC + ',grpc_code="OK"}': "0+60x90",
    GRPC + ',grpc_code="RESOURCE_EXHAUSTED"}': "0+30x90",
    UP: "1x90",
    'up{job="services",service="store",instance="s"}': "1x90",
    'up{job="edge",service="edge",instance="e"}': "1x90",
    'service:replicas_running{service="web"}': "1x90",
    'service:replicas_running{service="store"}': "1x90",
    **buckets(FAST, 90),
}
WEB = {"service": "web"}

CASES = [
    Case("ServiceLatencyHigh", {OK: "0+60x30", **buckets(SLOW, 30)}, "20m", [{**WEB, "protocol": "http"}]),
    Case("ServiceLatencyHigh", {OK: "0+60x30", **buckets(FAST, 30)}, "20m"),
    # Two slow requests in five minutes are not enough to know.
    Case("ServiceLatencyHigh", {OK: "0+0.4x30", **buckets(SLOW, 30)}, "20m"),
    Case("TargetDown", {UP: "1x5 0x20"}, "15m", [{**WEB, "job": "services"}]),
    Case("TargetDown", {UP: "0x30"}, "25m"),  # it never had metrics
    Case("TargetDown", {UP: "1x5 0x20", 'service:replicas_running{service="web"}': "0x30"}, "15m"),
    Case("TargetDown", {'up{job="node",instance="n"}': "0x20"}, "15m", [{"job": "node", "instance": "n"}]),
    Case("TargetDown", {'up{job="loki",instance="n"}': "0x20"}, "15m"),  # has an alert of its own
    Case("MetricsMissing", {'service:replicas_running{service="store"}': "1x30"}, "20m", [{"service": "store"}]),
    Case(
        "MetricsMissing",
        {
            'service:replicas_running{service="store"}': "1x30",
            'up{job="services",service="store",instance="s"}': "1x5 0x30",  # TargetDown's matter
            'service:replicas_running{service="web"}': "1x30",  # nobody said that it has any
        },
        "20m",
    ),
]
BURN = [
    Case("ErrorBudgetBurnFast", {OK: "0+48x90", BAD: "0+12x90"}, "70m", [WEB]),
    Case(
        "ErrorBudgetBurnFast",
        {GRPC + ',grpc_code="OK"}': "0+48x90", GRPC + ',grpc_code="Unavailable"}': "0+12x90"},
        "70m",
        [{"service": "head"}],
    ),
    Case("ErrorBudgetBurnFast", {OK: "0+57x90", BAD: "0+3x90"}, "70m"),  # 5 % is below 14.4 %
    Case("ErrorBudgetBurnFast", {OK: "0+48x70 3360+60x20", BAD: "0+12x70 840x20"}, "85m"),  # it has stopped
    Case("ErrorBudgetBurnFast", {OK: "0+1x10 10x80", BAD: "0+1x9 9x81"}, "12m"),  # 19 requests in all
    Case("ErrorBudgetBurnFast", {LIMITED: "0+60x90"}, "70m"),  # refused, not failed
    Case("ErrorBudgetBurnFast", {OK: "5x90", BAD: "0x90"}, "70m"),  # no traffic
]


def recorded(errors: float, steps: int = 900) -> Series:
    """One request a second, of which so many fail, as it is recorded."""
    return {
        'service:requests:rate5m{service="web"}': f"1x{steps}",
        'service:errors:rate5m{service="web"}': f"{errors}x{steps}",
    }


DAYS = [
    Case("ErrorBudgetBurn", recorded(0.1), "6h30m", [WEB]),
    Case("ErrorBudgetBurn", recorded(0.05), "6h30m"),
    Case("ErrorBudgetBurnSlow", recorded(0.02), "3d", [WEB]),
    Case("ErrorBudgetBurnSlow", recorded(0.005), "3d"),
]
TABLES = [
    Table("services.yml", CASES, HEALTHY, scope()),
    Table("slo.yml", BURN, HEALTHY, scope(), also=["services.yml"]),
    Table("slo.yml", DAYS, recorded(0), scope(interval=600), step="10m"),
]
