"""Health checks that can work: on a port the service has, with what their type needs."""

from __future__ import annotations

from collections.abc import Iterator

from llmdeploy.config.draft import Draft
from llmdeploy.config.models import Service
from llmdeploy.errors import Problem

_PROTOCOLS = {"http": ("http", "web"), "grpc": ("grpc",), "tcp": ("http", "web", "grpc", "tcp")}


def check(draft: Draft) -> Iterator[Problem]:
    """Health ports that are not among the ports, types without a port to ask, commands that nothing runs."""
    for name, service in draft.services():
        if draft.whole("services", name, "health"):
            if draft.whole("services", name, "ports"):
                yield from _port(draft, name, service)
            yield from _command(draft, name, service)


def _port(draft: Draft, name: str, service: Service) -> Iterator[Problem]:
    health, numbers = service.health, [port.number for port in service.ports]
    if health.port is not None:
        if health.port not in numbers:
            known = ", ".join(map(str, numbers)) or "none"
            why = f"port {health.port} is not a port of `{name}`"
            yield draft.problem("services", name, "health", "port", why=why, hint=f"its ports: {known}")
        return
    wanted = _PROTOCOLS.get(health.type or "")
    if wanted and not any(port.protocol in wanted for port in service.ports):
        why = f"`{name}` has no port that speaks {health.type}"
        hint = "name the port to ask: `port: NUMBER`" if numbers else "list the port under `ports`"
        yield draft.problem("services", name, "health", "type", why=why, hint=hint)


def _command(draft: Draft, name: str, service: Service) -> Iterator[Problem]:
    if service.health.command and service.health.type != "command":
        why = "is run only by a health check of `type: command`"
        yield draft.problem("services", name, "health", "command", why=why, hint="add `type: command`")
