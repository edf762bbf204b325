"""The edge's configuration: one frontend and one backend for each published port."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment as Templates
from jinja2 import StrictUndefined

from llmdeploy.config.models import Port, Service, Settings
from llmdeploy.release.health import health_kind, health_port
from llmdeploy.release.spec import EDGE_FOLDER, EDGE_STATUS_PORT

# HTTP/2 frames of grpc.health.v1.Health/Check on stream 1, for a proxy that can only send bytes: connection preface,
# SETTINGS, its acknowledgement, and HEADERS (HPACK without the dynamic table; RFC 9113, RFC 7541).
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".hex() + "000000040000000000" + "000000040100000000"
_HEADERS = (
    "000043010400000001"
    "8386441c2f677270632e6865616c74682e76312e4865616c74682f436865636b410268635f10"
    "6170706c69636174696f6e2f677270634002746508747261696c657273"
)


@dataclass(frozen=True)
class Route:
    """One published port: where the edge listens, where it sends, how it checks a replica."""

    name: str
    service: str
    edge: int
    port: int
    mode: str
    h2: bool
    check: str
    check_port: int
    check_path: str
    check_bytes: str


def edge_config(settings: Settings) -> str:
    """The complete haproxy.cfg (HAProxy 2.6 or later) for the published ports of `settings`."""
    source = files("llmdeploy.render").joinpath("haproxy.cfg.j2").read_text(encoding="utf-8")
    templates = Templates(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)  # noqa: S701 (not HTML)
    return templates.from_string(source).render(
        stack=settings.stack,
        folder=EDGE_FOLDER,
        status_port=EDGE_STATUS_PORT,
        slots=settings.edge.slots,
        stream_timeout=int(settings.edge.stream_timeout),
        routes=routes(settings),
    )


def routes(settings: Settings) -> list[Route]:
    """All published ports, in the order of the ports."""
    found = [
        _route(name, service, port, port.edge)
        for name, service in settings.services.items()
        for port in service.ports
        if port.edge
    ]
    return sorted(found, key=lambda route: route.edge)


def _route(name: str, service: Service, port: Port, edge: int) -> Route:
    asked = health_port(service)
    return Route(
        name=f"{name}-{edge}",
        service=name,
        edge=edge,
        port=port.number,
        mode="tcp" if port.protocol == "tcp" else "http",
        h2=port.protocol == "grpc",
        # A replica is healthy as a whole: every port is checked by the service's own health check.
        check=health_kind(service) if asked else "tcp",
        check_port=asked or port.number,
        check_path=service.health.path,
        check_bytes=grpc_health_frames(service.health.service),
    )


def grpc_health_frames(service: str) -> str:
    """Hex of a complete gRPC health request for `service` (empty: the whole server)."""
    name = service.encode()
    message = b"\x0a" + bytes([len(name)]) + name if name else b""
    data = b"\x00" + len(message).to_bytes(4, "big") + message
    frame = len(data).to_bytes(3, "big") + b"\x00\x01" + (1).to_bytes(4, "big") + data
    return _PREFACE + _HEADERS + frame.hex()
