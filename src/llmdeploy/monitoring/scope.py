"""What the monitoring of one environment has to know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from llmdeploy.config.models import Service, Settings
from llmdeploy.config.watching import PARTS, Monitoring, PartName
from llmdeploy.release.tls import NOT_YET, EdgeTls


@dataclass(frozen=True)
class Scope:
    """One environment as its monitoring sees it.

    settings  those of the stack, without the parts of the monitoring among its services
    hosts     each host's name → its address
    tls       the certificate at the edge
    """

    environment: str
    settings: Settings
    hosts: Mapping[str, str] = field(default_factory=dict)
    tls: EdgeTls = NOT_YET

    @property
    def monitoring(self) -> Monitoring:
        """Its section of the settings."""
        return self.settings.monitoring

    @property
    def services(self) -> Mapping[str, Service]:
        """The services of the stack by their names."""
        return self.settings.services

    @property
    def parts(self) -> tuple[PartName, ...]:
        """The parts that are not left out."""
        return tuple(name for name in PARTS if self.monitoring.has(name))


class Endpoint(NamedTuple):
    """Where one replica of a service tells its metrics."""

    port: int
    path: str


def metrics_of(service: Service) -> Endpoint | None:
    """Where a service tells its metrics: as given, else at its first port that speaks HTTP; None for nowhere."""
    given = service.metrics
    numbers = [port.number for port in service.ports if port.protocol in ("http", "web")]
    port = given.port or next(iter(numbers), None)
    return Endpoint(port, given.path) if given.enabled and port else None
