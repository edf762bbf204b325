"""The edge's configuration: one frontend and one backend for each published port."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment as Templates
from jinja2 import StrictUndefined

from llmdeploy.config.models import Port, Service, Settings
from llmdeploy.release.grpc import grpc_health_frames
from llmdeploy.release.health import health_kind, health_port
from llmdeploy.release.spec import EDGE_FOLDER, EDGE_STATUS_PORT
from llmdeploy.release.tls import NOT_YET, EdgeTls


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
    tls: bool = False
    web: bool = False

    @property
    def bind(self) -> str:
        """What follows the port of `bind`, but for the certificate."""
        if not self.tls:
            return " proto h2" if self.h2 else ""
        return {"tcp": ""}.get(self.mode, " alpn h2" if self.h2 else " alpn h2,http/1.1")


def edge_config(settings: Settings, tls: EdgeTls = NOT_YET) -> str:
    """The complete haproxy.cfg (HAProxy 2.6 or later) for the published ports of `settings`; `tls`: its certificate."""
    source = files("llmdeploy.render").joinpath("haproxy.cfg.j2").read_text(encoding="utf-8")
    templates = Templates(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False)  # noqa: S701 (not HTML)
    return templates.from_string(source).render(
        stack=settings.stack,
        folder=EDGE_FOLDER,
        status_port=EDGE_STATUS_PORT,
        slots=settings.edge.slots,
        stream_timeout=int(settings.edge.stream_timeout),
        routes=routes(settings),
        tls=tls if settings.has_tls else None,
    )


def routes(settings: Settings) -> list[Route]:
    """All published ports, in the order of the ports."""
    found = [
        _route(name, service, port, port.edge, tls=settings.secured(port))
        for name, service in settings.services.items()
        for port in service.ports
        if port.edge
    ]
    return sorted(found, key=lambda route: route.edge)


def _route(name: str, service: Service, port: Port, edge: int, *, tls: bool) -> Route:
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
        tls=tls,
        web=port.protocol == "web",
    )
