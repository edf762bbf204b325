"""The blackbox exporter: by which module a port is probed, and the modules themselves.

Keys: blackbox exporter, CONFIGURATION.md; all of them are known to 0.23 and later.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from llmdeploy.config.models import Port, Service
from llmdeploy.monitoring.scope import Scope
from llmdeploy.release.health import health_kind, health_port

CONFIG_FILE, AUTHORITY_FILE = "/etc/blackbox/blackbox.yml", "/etc/blackbox/authority.pem"
_IP4 = {"preferred_ip_protocol": "ip4", "ip_protocol_fallback": False}  # overlay networks have nothing else
_PATIENCE = 5.0  # seconds


@dataclass(frozen=True)
class Probe:
    """How one port is asked.

    kind     http, grpc or tcp
    path     for http
    service  for grpc: the name asked for
    any_answer  for http: every answer of its own will do, as nobody has named a path that tells of health
    tls      through TLS, as clients do
    timeout  seconds
    """

    kind: str
    path: str = "/"
    service: str = ""
    any_answer: bool = False
    tls: bool = False
    timeout: float = _PATIENCE

    @property
    def module(self) -> str:
        """The name of its module; probes that differ in their target only share one."""
        words = [self.kind, *(["any"] if self.any_answer else []), *(["tls"] if self.tls else [])]
        return "-".join(words) + (f":{self.service}" if self.service else "")

    @property
    def target(self) -> str:
        """What is probed at an address, which relabelling puts where `$1` is."""
        path = self.path.replace("$", "$$")
        return f"{'https' if self.tls else 'http'}://$1{path}" if self.kind == "http" else "$1"


def replica_probe(service: Service) -> tuple[int, Probe] | None:
    """The port and the probe that say whether a replica is healthy, as its health check does; None for none."""
    kind, port, timeout = health_kind(service), health_port(service), _timeout(service)
    if kind in ("http", "grpc", "tcp") and port is not None:
        asked = service.health.service if kind == "grpc" else ""
        return port, Probe(kind, path=service.health.path, service=asked, timeout=timeout)
    if kind == "none" or not service.ports:
        return None
    return service.ports[0].number, Probe("tcp", timeout=timeout)  # its command or its image says more, to Docker


def edge_probe(scope: Scope, service: Service, port: Port) -> Probe:
    """The probe of a published port, through the edge. By the same rules as `verify` asks it."""
    asked, tls, timeout = port.number == health_port(service), scope.settings.secured(port), _timeout(service)
    if port.protocol == "grpc":
        return Probe("grpc", service=service.health.service if asked else "", tls=tls, timeout=timeout)
    if port.protocol == "tcp":
        return Probe("tcp", tls=tls, timeout=timeout)
    by_health = asked and health_kind(service) == "http"
    path = service.health.path if by_health else "/"
    return Probe("http", path=path, any_answer=not by_health, tls=tls, timeout=timeout)


def _timeout(service: Service) -> float:
    return max(_PATIENCE, service.health.timeout)


def probes(scope: Scope) -> Iterator[Probe]:
    """Every probe of an environment, those of replicas first."""
    for service in scope.services.values():
        found = replica_probe(service)
        if found:
            yield found[1]
    for service in scope.services.values():
        for port in service.ports:
            if port.edge:
                yield edge_probe(scope, service, port)


def blackbox_files(scope: Scope) -> dict[str, str]:
    """Target → text of what the blackbox exporter reads, with the edge's authority where it has one of its own."""
    modules = {probe.module: _module(scope, probe) for probe in probes(scope)}
    text = yaml.safe_dump({"modules": modules}, sort_keys=False, default_flow_style=None, width=120)
    authority = {AUTHORITY_FILE: scope.tls.authority} if scope.tls.authority else {}
    return {CONFIG_FILE: text, **authority}


def _module(scope: Scope, probe: Probe) -> dict[str, Any]:
    """The module of a probe. It has the time that Prometheus gives it with each question."""
    tls = _tls(scope) if probe.tls else {}
    if probe.kind == "grpc":
        own = {"service": probe.service, "tls": probe.tls, **({"tls_config": tls} if tls else {}), **_IP4}
        return {"prober": "grpc", "grpc": own}
    if probe.kind == "tcp":
        own = {"tls": probe.tls, **({"tls_config": tls} if tls else {}), **_IP4}
        return {"prober": "tcp", "tcp": own}
    good = {
        "valid_status_codes": list(range(200, 500 if probe.any_answer else 400)),
        "follow_redirects": False,  # they lead to names that need not be reachable from here
        "fail_if_not_ssl": probe.tls,
    }
    return {"prober": "http", "http": {**good, **({"tls_config": tls} if tls else {}), **_IP4}}


def _tls(scope: Scope) -> dict[str, str]:
    """The edge is asked by its address, its certificate is good for a name."""
    authority = {"ca_file": AUTHORITY_FILE} if scope.tls.authority else {}
    return {**authority, **({"server_name": scope.tls.name} if scope.tls.name else {})}
