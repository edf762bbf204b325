"""What Prometheus and the prober find out, by both of them: of replicas, and through an edge that speaks TLS.

In place of Docker's DNS, each of its answers stands in the configuration; everything else is as it is written.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import quote

import grpc  # type: ignore[import-untyped]
import pytest
import yaml

from llmdeploy.monitoring import blackbox, prometheus
from llmdeploy.monitoring.scope import Scope
from llmdeploy.monitoring.scraping import PART_PORTS, PROBER
from llmdeploy.secrets import keys
from llmdeploy.tls.certificate import Certificate
from llmdeploy.tls.issue import issue
from tests.unit.catalogue import settings
from tests.unit.monitoring.conftest import write
from tests.unit.monitoring.live import asked, eventually, free_port, running

NAME = "gw.example.com"
SERVICES: dict[str, dict[str, Any]] = {
    # Two ports, of which the second has no path that tells of health.
    "web": {
        "ports": [
            {"number": 80, "protocol": "http", "published": True},
            {"number": 81, "protocol": "web", "published": 8081},
        ],
        "health": {"path": "/health?of=$1"},
        "metrics": {"path": "/metrics?format=text"},
    },
    "ill": {"ports": [{"number": 82, "protocol": "http"}], "health": {"path": "/ill"}, "metrics": False},
    "store": {"ports": [{"number": 83, "protocol": "tcp", "published": True}]},
    "model": {"ports": [{"number": 84, "protocol": "grpc", "published": True}], "health": {"service": "a.Model"}},
    "tired": {"ports": [{"number": 84, "protocol": "grpc"}], "health": {"service": "a.Tired"}},
}
# The address of a task and its port → whether what listens there speaks TLS.
HTTP = {("web", 80): False, ("ill", 82): False, ("edge", 80): True, ("edge", 8081): True, ("edge", 8404): False}
GRPC = {("model", 84): False, ("tired", 84): False, ("edge", 84): True}
PLAIN_TCP = {("store", 83): ("web", 80), ("edge", 83): ("web", 80)}  # anything that takes connections
METRICS = 'own_total{service="its own word",stack="x"} 7\n'
HEALTH = {"a.Model": b"\x08\x01", "a.Tired": b"\x08\x02"}  # HealthCheckResponse: SERVING, NOT_SERVING


class Answers(BaseHTTPRequestHandler):
    """A service and an edge at once."""

    def do_GET(self) -> None:
        tls = isinstance(self.connection, ssl.SSLSocket)
        expected = {
            "/health?of=$1": 200 if self.headers["Host"] == (NAME if tls else "web") else 421,
            "/metrics?format=text": 200,
            "/metrics": 200,
            "/metrics/certificate": 200,
            "/": 404,
        }
        body = METRICS.encode() if self.path.startswith("/metrics") else b""
        self.send_response(expected.get(self.path, 500))
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@dataclass(frozen=True)
class Seen:
    """What Prometheus knows after a while: the value of each series by its labels."""

    url: str

    def __call__(self, query: str, *labels: str) -> dict[tuple[str, ...], str]:
        found = asked(f"{self.url}/api/v1/query?query={quote(query)}")["data"]["result"]
        return {tuple(one["metric"].get(label, "") for label in labels): one["value"][1] for one in found}


@contextmanager
def http_server(context: ssl.SSLContext | None) -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        yield server.server_port
        server.shutdown()


@contextmanager
def grpc_server(credentials: Any) -> Iterator[int]:
    def check(request: bytes, _: Any) -> bytes:
        return HEALTH.get(request[2:].decode(), b"\x08\x03")

    server = grpc.server(ThreadPoolExecutor(4))
    table = {"Check": grpc.unary_unary_rpc_method_handler(check)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("grpc.health.v1.Health", table),))
    at = "127.0.0.1:0"
    port = server.add_secure_port(at, credentials) if credentials else server.add_insecure_port(at)
    server.start()
    yield int(port)
    server.stop(None).wait(5)


@pytest.fixture(scope="module")
def certificate() -> Certificate:
    return issue(keys.authority(), [NAME], datetime.now(timezone.utc))


@pytest.fixture(scope="module")
def ports(certificate: Certificate, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[tuple[str, int], int]]:
    """Where on this machine the port of a service's tasks is."""
    file = tmp_path_factory.mktemp("certificate") / "edge.pem"
    file.write_text(certificate.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    key = keys.KEY.search(certificate.pem)
    assert key
    credentials = grpc.ssl_server_credentials([(key[0].encode(), certificate.pem.encode())])
    with ExitStack() as stack:
        found = {one: stack.enter_context(http_server(context if tls else None)) for one, tls in HTTP.items()}
        found |= {one: stack.enter_context(grpc_server(credentials if tls else None)) for one, tls in GRPC.items()}
        yield found | {one: found[other] for one, other in PLAIN_TCP.items()}


@pytest.fixture(scope="module")
def seen(
    certificate: Certificate, ports: dict[tuple[str, int], int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Seen]:
    root, prober = tmp_path_factory.mktemp("programs"), free_port()
    given = settings(SERVICES, tls={"mode": "internal"}, monitoring={"enabled": True, "interval": "1s"})
    scope = Scope("dev", given, {}, certificate.at_edge("edge"))
    write({**prometheus.prometheus_files(scope), **blackbox.blackbox_files(scope)}, root)
    probing, asking = (root / file.CONFIG_FILE[1:] for file in (blackbox, prometheus))
    probing.write_text(probing.read_text().replace(blackbox.AUTHORITY_FILE, str(root / blackbox.AUTHORITY_FILE[1:])))
    asking.write_text(yaml.safe_dump(without_docker(yaml.safe_load(asking.read_text()), ports, prober)))
    words = [f"--config.file={asking}", f"--storage.tsdb.path={root / 'data'}"]
    with (
        running("blackbox_exporter", prober, f"--config.file={probing}"),
        running("prometheus", free_port(), *words) as url,
    ):
        eventually(lambda: asked(f"{url}/api/v1/targets"), lambda found: found and all_asked(found["data"]))
        time.sleep(0.2)  # a scrape counts as done before its samples can be asked for
        yield Seen(url)


def without_docker(config: dict[str, Any], ports: dict[tuple[str, int], int], prober: int) -> dict[str, Any]:
    """The configuration with this machine's addresses. Jobs of parts that do not run here are left out."""
    local = []
    for job in config["scrape_configs"]:
        (found,) = job.pop("dns_sd_configs")
        place = (found["names"][0].removeprefix("tasks.").rstrip("."), found["port"])
        for rule in job.get("relabel_configs", []):
            if rule.get("replacement") == f"{PROBER}:{PART_PORTS[PROBER]}":
                rule["replacement"] = f"127.0.0.1:{prober}"
        if place in ports:
            job["static_configs"] = [{"targets": [f"127.0.0.1:{ports[place]}"]}]
            local.append(job)
    return {"global": config["global"], "scrape_configs": local}


def all_asked(targets: dict[str, Any]) -> bool:
    found = targets["activeTargets"]
    return len(found) > 0 and all(one["health"] != "unknown" for one in found)


def test_replicas_are_healthy_as_their_own_health_check_says(seen: Seen, ports: dict[tuple[str, int], int]) -> None:
    found = seen('probe_success{job="replicas"}', "service", "instance")
    assert found == {
        ("web", f"127.0.0.1:{ports['web', 80]}"): "1",
        ("ill", f"127.0.0.1:{ports['ill', 82]}"): "0",
        ("store", f"127.0.0.1:{ports['store', 83]}"): "1",
        ("model", f"127.0.0.1:{ports['model', 84]}"): "1",
        ("tired", f"127.0.0.1:{ports['tired', 84]}"): "0",
    }


def test_what_clients_use_is_asked_through_tls_by_the_name_they_use(seen: Seen) -> None:
    found = seen('probe_success{job="edge-probe"}', "service", "port")
    assert found == {("web", "80"): "1", ("web", "8081"): "1", ("store", "83"): "1", ("model", "84"): "1"}
    until = seen('probe_ssl_earliest_cert_expiry{job="edge-probe"}', "service", "port")
    assert set(until) >= {("web", "80"), ("web", "8081"), ("model", "84")}


def test_the_service_is_the_one_that_is_asked_whatever_it_calls_itself(seen: Seen) -> None:
    found = seen('own_total{job="services"}', "service", "exported_service", "stack")
    assert found == {("web", "its own word", "x"): "7"}


def test_every_answer_has_its_job(seen: Seen) -> None:
    assert seen("min by (job) (up)", "job") == {
        (job,): "1" for job in ("services", "replicas", "edge-probe", "edge", "edge-certificate")
    }
