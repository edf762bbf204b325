"""How a service's health is asked: Docker health checks for its container, checks for the release and `verify`.

The probe is a static program mounted into every container (`probe/`), so that an image needs neither a shell nor curl.
"""

from __future__ import annotations

from typing import Any

from llmdeploy.config.models import Health, Port, Service, Settings
from llmdeploy.config.verifying import Request
from llmdeploy.release.grpc import grpc_health_frames
from llmdeploy.release.tls import EdgeTls

PROBE_ON_HOST = "/opt/llmdeploy/bin"
PROBE_FOLDER = "/llmdeploy"
PROBE = f"{PROBE_FOLDER}/probe"
NANO = 1_000_000_000
START_INTERVAL = 1.0  # seconds between checks until the first one succeeds
_BY_PROTOCOL = {"http": "http", "web": "http", "grpc": "grpc", "tcp": "tcp"}

Check = dict[str, Any]


def health_kind(service: Service) -> str:
    """The kind of health check in force: as given, else by the first port's protocol, else the image's own."""
    if service.health.type:
        return service.health.type
    return _BY_PROTOCOL[service.ports[0].protocol] if service.ports else "image"


def health_port(service: Service) -> int | None:
    """The port the health check asks, None where it asks none."""
    kind = health_kind(service)
    if kind not in ("http", "grpc", "tcp"):
        return None
    if service.health.port:
        return service.health.port
    fitting = [port.number for port in service.ports if kind in ("tcp", _BY_PROTOCOL[port.protocol])]
    return (fitting or [port.number for port in service.ports])[0]


def docker_healthcheck(service: Service) -> dict[str, Any] | None:
    """Docker's HealthConfig (durations in nanoseconds), None to keep what the image says."""
    kind, health = health_kind(service), service.health
    if kind == "image":
        return None
    if kind == "none":
        return {"Test": ["NONE"]}
    return {
        "Test": ["CMD", *_probe_command(kind, health, health_port(service))],
        "Interval": int(health.interval * NANO),
        "Timeout": int((health.timeout + 1) * NANO),  # the probe ends itself first, with a reason
        "Retries": health.retries,
        "StartPeriod": int(health.start_period * NANO),
        # Docker 25 and later; the engine leaves it out for older ones.
        "StartInterval": int(min(health.interval, START_INTERVAL) * NANO),
    }


def _probe_command(kind: str, health: Health, port: int | None) -> list[str]:
    if kind == "command":
        return health.command
    command = [PROBE, kind, str(port)]
    if kind == "http":
        command.append(health.path)
    if kind == "grpc" and health.service:
        command.append(health.service)
    return [*command, "--timeout", f"{health.timeout:g}"]


def port_checks(settings: Settings, name: str, edge_host: str, tls: EdgeTls) -> list[Check]:
    """One check for each port of a service: published ones through the edge, the others from inside the network."""
    service = settings.services[name]
    secured = {port.number: tls for port in service.ports if settings.secured(port)}
    return [_port_check(name, service, port, edge_host, secured.get(port.number)) for port in service.ports]


def _port_check(name: str, service: Service, port: Port, edge_host: str, tls: EdgeTls | None) -> Check:
    asked = port.number == health_port(service)
    kind = _BY_PROTOCOL[port.protocol]
    grpc_service = service.health.service if asked else ""
    return _check(
        name=f"{name}:{port.edge or port.number} {port.protocol}",
        service=name,
        kind=kind,
        via="edge" if port.edge else "network",
        host=edge_host if port.edge else None,
        port=port.edge or port.number,
        path=service.health.path if asked else "/",
        grpc_service=grpc_service,
        # A port whose health path nobody named proves itself by any answer of its own.
        expect_status=[200, 399] if asked else [200, 499],
        timeout=max(service.health.timeout, 3.0),
        **_tls(tls, grpc_health_frames(grpc_service) if kind == "grpc" else ""),
    )


def request_check(settings: Settings, request: Request, edge_host: str, tls: EdgeTls) -> Check:
    """The check for one request of the `verify` section."""
    port = next(port for port in settings.services[request.service].ports if port.number == request.port)
    return _check(
        name=request.name,
        service=request.service,
        kind="request",
        via="edge",
        host=edge_host,
        port=port.edge,
        path=request.path,
        method=request.method,
        headers=request.headers,
        body=request.body,
        expect_status=[request.expect_status, request.expect_status],
        expect_json=request.expect_json,
        expect_text=request.expect_text,
        timeout=request.timeout,
        **_tls(tls if settings.secured(port) else None),
    )


def certificate_checks(settings: Settings, edge_host: str, tls: EdgeTls) -> list[Check]:
    """Whether the edge's certificate, as a port shows it, is good for every name that clients use."""
    secured = (port.edge for service in settings.services.values() for port in service.ports if settings.secured(port))
    port = min((number for number in secured if number), default=None)
    if port is None:
        return []
    check = _check(name="certificate", service="edge", kind="tls", via="edge", host=edge_host, port=port, **_tls(tls))
    return [{**check, "names": list(tls.names)}]


def _tls(tls: EdgeTls | None, frames: str = "") -> dict[str, Any]:
    if tls is None:
        return {}
    return {"tls": {**tls.check, "frames": frames} if frames else tls.check}


def _check(**values: Any) -> Check:
    base: Check = {
        "path": "/", "grpc_service": "", "method": "GET", "headers": {}, "body": None,
        "expect_status": [200, 399], "expect_json": None, "expect_text": None, "timeout": 5.0,
    }  # fmt: skip
    return {**base, **values}
