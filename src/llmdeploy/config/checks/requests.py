"""`verify.requests`: asked through the edge, so of a service and a port that are published."""

from __future__ import annotations

from collections.abc import Iterator

from llmdeploy.config.draft import Draft
from llmdeploy.config.nearest import did_you_mean
from llmdeploy.config.tree import locate, plain
from llmdeploy.errors import Problem


def check(draft: Draft) -> Iterator[Problem]:
    """Requests to services that do not exist, and to ports that the service lacks or keeps internal.

    Reads the tree, not the models: one request that fails its shape leaves all requests out of these.
    """
    node, rest = locate(draft.origins.root, ("verify", "requests"))
    requests = [] if rest else plain(node)
    for index, request in enumerate(requests if isinstance(requests, list) else []):
        if isinstance(request, dict) and isinstance(request.get("service"), str):
            yield from _request(draft, index, request["service"], request.get("port"))


def _request(draft: Draft, index: int, name: str, port: object) -> Iterator[Problem]:
    path = ("verify", "requests", index)
    if name not in draft.names:
        hint = did_you_mean(name, draft.names)
        yield draft.problem(*path, "service", why=f"no service `{name}`", hint=hint)
        return
    service = draft.settings.services.get(name)
    if service is None or not isinstance(port, int) or not draft.whole("services", name, "ports"):
        return
    ports = {port.number: port for port in service.ports}
    published = [str(number) for number, port in ports.items() if port.edge]
    hint = f"published ports of `{name}`: {', '.join(published) or 'none'}"
    if port not in ports:
        yield draft.problem(*path, "port", why=f"`{name}` has no port {port}", hint=hint)
    elif not ports[port].edge:
        yield draft.problem(*path, "port", why=f"port {port} of `{name}` is not published", hint=hint)
