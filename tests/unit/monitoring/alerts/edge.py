"""The edge and its certificate: edge.yml."""

from tests.unit.monitoring.alerts.cases import Case, Series, Table, scope

UP = {'up{job="edge",service="edge",instance="e1"}': "1x60"}
REQUESTS = 'haproxy_frontend_http_requests_total{job="edge",service="edge",instance="e1",proxy="web-8000"}'
DAY = 86400


def answers(code: str) -> str:
    return (
        'haproxy_frontend_http_responses_total{job="edge",service="edge",instance="e1",proxy="web-8000",'
        f'code="{code}"}}'
    )


def probe(instance: str) -> str:
    return f'probe_success{{job="edge-probe",service="web",port="8000",instance="{instance}"}}'


SHOWN = 'probe_ssl_earliest_cert_expiry{job="edge-probe",service="web",port="8000",instance="e1"}'
GIVEN = 'llmdeploy_edge_certificate_expiry_timestamp_seconds{job="edge-certificate",service="edge",instance="e1"}'
HEALTHY: Series = {
    **UP,
    REQUESTS: "0+60x60",
    answers("2xx"): "0+50x60",
    answers("4xx"): "0+10x60",
    answers("5xx"): "0x60",
    probe("e1"): "1x60",
    probe("e2"): "1x60",
    SHOWN: f"{60 * DAY}x60",
}
EDGE = {"service": "edge"}
PORT = {"service": "web", "port": "8000"}
CASES = [
    Case("EdgeDown", {'up{job="edge",service="edge",instance="e1"}': "1x5 0x20"}, "10m", [EDGE]),
    Case("EdgeDown", {}, "10m", [EDGE]),
    Case("EdgeDown", {**UP, 'up{job="edge",service="edge",instance="e2"}': "0x20"}, "10m"),
    Case(
        "EdgeErrors", {**UP, REQUESTS: "0+60x30", answers("2xx"): "0+50x30", answers("5xx"): "0+10x30"}, "15m", [PORT]
    ),
    Case("EdgeErrors", {**UP, REQUESTS: "0+60x30", answers("2xx"): "0+50x30", answers("4xx"): "0+10x30"}, "15m"),
    Case("EdgeErrors", {**UP, REQUESTS: "0+1x30", answers("2xx"): "0x30", answers("5xx"): "0+1x30"}, "15m"),  # too few
    Case("EdgeProbeFailing", {probe("e1"): "1x5 0x20", probe("e2"): "1x5 0x20"}, "10m", [PORT]),
    Case("EdgeProbeFailing", {probe("e1"): "0x30", probe("e2"): "1x30"}, "10m"),
    Case("EdgeHostFailing", {probe("e1"): "0x30", probe("e2"): "1x30"}, "10m", [{**PORT, "instance": "e1"}]),
    Case("EdgeHostFailing", {probe("e1"): "0x30", probe("e2"): "0x30"}, "10m"),
    Case("CertificateExpiresSoon", {SHOWN: f"{20 * DAY}x60"}, "40m", [EDGE]),
    Case("CertificateExpiresSoon", {GIVEN: f"{20 * DAY}x60"}, "40m", [EDGE]),
    Case("CertificateExpiresSoon", {SHOWN: f"{22 * DAY}x60", GIVEN: f"{20 * DAY}x60"}, "40m"),  # what is shown counts
    Case("CertificateExpiresSoon", {SHOWN: f"{2 * DAY}x60"}, "40m"),
    Case("CertificateExpires", {SHOWN: f"{2 * DAY}x60"}, "10m", [EDGE]),
    Case("CertificateExpires", {SHOWN: "60x60"}, "10m", [EDGE]),  # it is over
    Case("CertificateExpires", {SHOWN: f"{4 * DAY}x60"}, "10m"),
    Case("CertificateExpires", {SHOWN: "-62135596800x60", GIVEN: f"{60 * DAY}x60"}, "10m"),  # no TLS was spoken
]
TABLES = [Table("edge.yml", CASES, HEALTHY, scope())]
