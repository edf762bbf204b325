"""`verify.requests`: asked through the edge, so of a service and a port that are published."""

from __future__ import annotations

from collections.abc import Iterator

from llmdeploy.config.draft import Draft
from llmdeploy.config.models import Request
from llmdeploy.config.nearest import did_you_mean
from llmdeploy.errors import Problem


def check(draft: Draft) -> Iterator[Problem]:
    """Requests to services that do not exist, and to ports that the service lacks or keeps internal."""
    for index, request in enumerate(draft.settings.verify.requests):
        yield from _request(draft, index, request)


def _request(draft: Draft, index: int, request: Request) -> Iterator[Problem]:
    path = ("verify", "requests", index)
    if request.service not in draft.names:
        hint = did_you_mean(request.service, draft.names)
        yield draft.problem(*path, "service", why=f"no service `{request.service}`", hint=hint)
        return
    service = draft.settings.services.get(request.service)
    if service is None or not draft.whole("services", request.service, "ports"):
        return
    ports = {port.number: port for port in service.ports}
    published = [str(number) for number, port in ports.items() if port.edge]
    hint = f"published ports of `{request.service}`: {', '.join(published) or 'none'}"
    if request.port not in ports:
        why = f"`{request.service}` has no port {request.port}"
        yield draft.problem(*path, "port", why=why, hint=hint)
    elif not ports[request.port].edge:
        why = f"port {request.port} of `{request.service}` is not published"
        yield draft.problem(*path, "port", why=why, hint=hint)
