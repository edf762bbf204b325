"""TLS at the edge with real clients: issued, checked, renewed under traffic, kept over a reboot, taken back.

The tests build on one another, in this order.
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import pytest

from llmdeploy.secrets import keys
from llmdeploy.tls.issue import issue
from tests.e2e.conftest import MakeImages, MakeProject
from tests.e2e.small import HOSTS, Site, make_site
from tests.e2e.stack import SERVING, eventually, ok
from tests.e2e.traffic import Traffic
from tests.lab.fixtures import LabFactory

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

CATALOGUE = """
stack: small
tls: {names: [gateway.example.com]}
edge: {build: edge, memory: 256MB, read_only: true}
defaults: {build: demo, memory: 256MB, stop_grace: 3}
services:
  billing:
    group: tail
    ports: [{number: 8082, protocol: http, published: true}]
    health: {interval: 1, start_period: 3}
  rate-limiter:
    group: tail
    ports: [{number: 50051, protocol: grpc, published: true}]
    health: {interval: 1, start_period: 3}
  user-dashboard:
    group: head
    ports: [{number: 3000, protocol: web, published: true}]
    health: {interval: 1, start_period: 3}
verify:
  requests:
    - {name: usage, service: billing, port: 8082, path: /v1/usage}
"""


@pytest.fixture(scope="module")
def site(lab_factory: LabFactory, make_project: MakeProject, make_images: MakeImages) -> Iterator[Site]:
    lab = lab_factory(HOSTS)
    made = make_site(lab, make_project, make_images, CATALOGUE)
    password = made.project.root / ".vault-password"
    password.write_text("correct-horse-battery-7c41\n")
    password.chmod(0o600)
    yield made
    lab.down()


def trusting(site: Site) -> ssl.SSLContext:
    """What a client that has the authority's certificate trusts."""
    return ssl.create_default_context(cadata=ok(site.run("staging tls ca")).stdout)


def get(site: Site, host: str, port: int, path: str, context: ssl.SSLContext) -> http.client.HTTPResponse:
    connection = http.client.HTTPSConnection(site.lab[host].ip, port, timeout=10, context=context)
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer


def peer(site: Site, host: str, context: ssl.SSLContext, name: str = "", port: int = 8082) -> ssl.SSLSocket:
    """An open connection."""
    plain = socket.create_connection((site.lab[host].ip, port), 10)
    return context.wrap_socket(plain, server_hostname=name or site.lab[host].ip)


def certificate(site: Site, host: str = "tail") -> dict[str, Any]:
    with peer(site, host, trusting(site)) as connection:
        return dict(connection.getpeercert() or {})


def edges(site: Site) -> set[str]:
    """The containers of the edge."""
    command = "ps --quiet --no-trunc --filter label=com.docker.swarm.service.name=edge"
    return {ident for host in site.lab for ident in host.docker(command).stdout.split()}


def test_without_an_authority_no_host_is_contacted_and_one_command_makes_it(site: Site) -> None:
    refused = ok(site.run("staging deploy --plain"), 3)
    assert "tls_authority" in refused.stderr
    assert "llmdeploy staging secrets init" in refused.stderr
    assert site.lab["head"].docker("info --format {{.Swarm.LocalNodeState}}").stdout.strip() == "inactive"
    ok(site.run("staging secrets init"))


def test_every_published_port_speaks_tls(site: Site) -> None:
    done = ok(site.run("staging deploy --json"))
    assert {one["url"].partition("://")[0] for one in done.data["addresses"]} == {"https"}
    context = trusting(site)
    for host in HOSTS:  # each is an edge, and each address is in the certificate
        assert get(site, host, 8082, "/v1/usage", context).status == 200
    dashboard = get(site, "head", 3000, "/", context)
    assert dashboard.status == 200
    assert dashboard.headers["Strict-Transport-Security"] == "max-age=31536000"
    trusted = grpc.ssl_channel_credentials(ok(site.run("staging tls ca")).stdout.encode())
    with grpc.secure_channel(f"{site.lab['tail'].ip}:50051", trusted) as channel:
        assert channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=10) == SERVING


def test_nothing_less_is_accepted(site: Site) -> None:
    context = trusting(site)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with peer(site, "head", context, "gateway.example.com") as connection:
        assert connection.selected_alpn_protocol() == "h2"
        assert connection.version() == "TLSv1.3"
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with peer(site, "head", context) as connection:
        assert re.match(r"ECDHE-.*(GCM|CHACHA20)", (connection.cipher() or ("",))[0])
    context.set_ciphers("AES128-SHA256:AES256-GCM-SHA384")  # no forward secrecy
    with pytest.raises(ssl.SSLError):
        peer(site, "head", context)
    old = trusting(site)
    old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, OSError)):
        peer(site, "head", old)
    with pytest.raises(ssl.SSLCertVerificationError, match="other"):
        peer(site, "head", trusting(site), "other.example.com")
    with pytest.raises(ssl.SSLCertVerificationError):
        peer(site, "head", ssl.create_default_context())
    with socket.create_connection((site.lab["head"].ip, 8082), 10) as plain:
        plain.sendall(b"GET /v1/usage HTTP/1.1\r\nHost: head\r\n\r\n")
        assert b"HTTP" not in plain.recv(1000)


def test_verify_checks_chain_and_names_and_status_tells_the_expiry(site: Site) -> None:
    checks = {one["name"]: one for one in ok(site.run("staging verify --json")).data["checks"]}
    assert {"certificate", "billing:8082 http", "rate-limiter:50051 grpc", "usage"} <= set(checks)
    assert "gateway.example.com" in checks["certificate"]["detail"]
    assert "grpc" in next(name for name, one in checks.items() if one["detail"] == "SERVING")
    status = ok(site.run("staging status --json")).data["tls"]
    assert (status["mode"], status["warn"]) == ("internal", False)
    assert 58 <= status["days"] <= 90
    assert f"TLS: internal, until {status['until'][:10]}" in ok(site.run("staging status")).stdout
    ask = "import urllib.request as r; print(r.urlopen('http://tasks.edge:8404/metrics/certificate').read().decode())"
    (container,) = site.lab["head"].docker("ps --quiet --filter name=user-dashboard.").stdout.split()
    said = site.lab["head"].docker(["exec", container, "python3", "-c", ask]).stdout
    assert re.search(r"^llmdeploy_edge_certificate_expiry_timestamp_seconds \d{10}$", said, re.MULTILINE)


def test_the_key_is_on_no_disk(site: Site) -> None:
    """It is in memory beside the edge, in Docker's encrypted store, and nowhere else."""
    container = next(iter(edges(site)))
    host = next(host for host in site.lab if container in host.docker("ps -q --no-trunc").stdout)
    pem = host.docker(["exec", container, "sh", "-c", "cat /edge-tls/*.pem"]).stdout
    line = pem.partition("PRIVATE KEY-----\n")[2].splitlines()[0]
    assert len(line) == 64
    mounted = host.docker(["exec", container, "sh", "-c", "grep ' /edge-tls ' /proc/mounts"]).stdout
    assert mounted.startswith("tmpfs ")
    logs = "".join(path.read_text() for path in site.project.logs("staging"))
    assert "edge-tls" in logs
    assert line not in logs
    for one in site.lab:
        found = one.exec(f"grep -rlsF --exclude-dir=proc --exclude-dir=sys '{line}' / ", check=False).stdout.split()
        in_memory = [path for path in found if one.exec(f"stat -f -c %T {path}", check=False).stdout.strip() == "tmpfs"]
        assert [path for path in found if path not in in_memory and "/edge-tls/" not in path] == []


def test_a_renewal_loses_no_request_and_restarts_no_edge(site: Site) -> None:
    before, running = certificate(site), edges(site)
    site.project.set("staging", "tls.names", ["gateway.example.com", "new.example.com"])
    with Traffic(site.lab["tail"].ip, 8082, tls=trusting(site)) as traffic:
        traffic.flows()
        ok(site.run("staging tls renew --plain"))
        traffic.flows()
    assert traffic.lost == [], str(traffic)
    after = certificate(site)
    assert after["serialNumber"] != before["serialNumber"]
    assert ("DNS", "new.example.com") in after["subjectAltName"]
    assert edges(site) == running
    assert "nothing to change" in ok(site.run("staging deploy --plain")).stdout
    assert "nothing to change" in ok(site.run("staging tls renew --plain")).stdout


def test_after_a_reboot_the_edge_has_its_certificate_again(site: Site) -> None:
    serial = certificate(site)["serialNumber"]
    site.lab["tail"].kill()
    site.lab["tail"].start()
    context = trusting(site)
    eventually("the edge of the host answers", lambda: get(site, "tail", 8082, "/v1/usage", context).status == 200)
    assert certificate(site)["serialNumber"] == serial
    eventually("all is healthy", lambda: site.run("staging status").code == 0)


def test_a_rollback_brings_the_old_certificate_back(site: Site) -> None:
    now = certificate(site)["serialNumber"]
    ok(site.run("staging rollback --yes --plain"))
    assert certificate(site)["serialNumber"] != now
    ok(site.run("staging verify"), 7)  # the files want another name
    ok(site.run("staging deploy --plain"))
    assert certificate(site)["serialNumber"] == now


def test_a_certificate_of_ones_own_is_checked_before_a_host_is_contacted(site: Site) -> None:
    root: Path = site.project.root
    authority = keys.authority()
    names = ["gateway.example.com", *(site.lab[host].ip for host in HOSTS)]
    own = issue(authority, names, datetime.now(timezone.utc))
    chain, _, key = own.pem.partition("-----BEGIN PRIVATE")
    (root / "edge.crt").write_text(chain)
    (root / "edge.key").write_text(f"-----BEGIN PRIVATE{key}")
    (root / "our-ca.crt").write_text(own.authority)
    files = {"mode": "files", "certificate": "edge.crt", "key": "edge.key", "authority": "our-ca.crt", "names": names}
    site.project.settings("staging", {"tls": files})
    (root / "edge.key").chmod(0o644)
    assert "others may read `edge.key`" in ok(site.run("staging deploy --plain"), 3).stderr
    (root / "edge.key").chmod(0o600)
    wrong = ok(site.run("staging deploy --plain", 'tls.names=["other.example.com"]'), 3)
    assert "is not for other.example.com" in wrong.stderr
    ok(site.run("staging deploy --plain"))
    assert ok(site.run("staging tls ca")).stdout == own.authority
    assert get(site, "head", 8082, "/v1/usage", trusting(site)).status == 200
    ok(site.run("staging verify"))


def test_without_tls_every_status_says_so(site: Site) -> None:
    site.project.settings("staging", {"tls": {"mode": "off"}})
    ok(site.run("staging deploy --plain --remove-orphans"))
    assert "TLS: off" in ok(site.run("staging status")).stdout
    production = (site.project.root / "inventory" / "staging.ini").read_text()
    site.project.inventory("production", production)
    site.project.settings("production", {"tls": {"mode": "off"}})
    assert "production without TLS" in ok(site.run("production plan"), 3).stderr
