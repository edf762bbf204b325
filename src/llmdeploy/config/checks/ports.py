"""Published ports: one owner each; no more replicas than the edge can balance over."""

from __future__ import annotations

from collections.abc import Iterator

from llmdeploy.config.draft import Draft
from llmdeploy.config.marks import KeyPath
from llmdeploy.config.models import Service
from llmdeploy.errors import Problem

RESERVED = {
    8404: "the edge's own metrics and state",
    2377: "Docker Swarm",
    7946: "Docker Swarm",
}


def check(draft: Draft) -> Iterator[Problem]:
    """Ports published twice or reserved, listed twice, restricted for nothing; too many replicas for the edge."""
    yield from _owners(draft)
    for name, service in draft.services():
        yield from _twice(draft, name, service)
        yield from _slots(draft, name, service)


def _owners(draft: Draft) -> Iterator[Problem]:
    owners: dict[int, tuple[str, KeyPath]] = {}
    for name, service in draft.services():
        for index, port in enumerate(service.ports):
            if port.edge is None:
                if port.allow_from:
                    path = ("services", name, "ports", index, "allow_from")
                    yield draft.problem(
                        *path, why="restricts a port that is not published", hint="add `published: true`"
                    )
                continue
            explicit = port.published is not True
            path = ("services", name, "ports", index, "published" if explicit else "number")
            if port.edge in RESERVED:
                yield draft.problem(*path, why=f"port {port.edge} belongs to {RESERVED[port.edge]}")
            elif port.edge in owners and owners[port.edge][0] != name:
                other, place = owners[port.edge]
                why = f"port {port.edge} is published by `{other}` already, in {draft.mark(place)}"
                yield draft.problem(*path, why=why, hint="`published: NUMBER` lets the edge answer on another port")
            else:
                owners[port.edge] = (name, path)


def _twice(draft: Draft, name: str, service: Service) -> Iterator[Problem]:
    seen: set[int] = set()
    for index, port in enumerate(service.ports):
        if port.number in seen:
            path = ("services", name, "ports", index, "number")
            yield draft.problem(*path, why=f"`{name}` lists port {port.number} twice")
        seen.add(port.number)


def _slots(draft: Draft, name: str, service: Service) -> Iterator[Problem]:
    if not any(port.edge for port in service.ports) or not draft.whole("edge", "slots"):
        return
    slots = draft.settings.edge.slots
    extra = min(service.update.parallelism, service.replicas) if service.update.order == "start-first" else 0
    count, what = service.replicas, "replicas"
    if service.mode == "global":
        group = draft.group(name)
        if draft.inventory is None or group is None:
            return
        count, what = len(draft.inventory.in_group(group)), f"hosts in group `{group}`"
    if count + extra > slots:
        more = f" and {extra} more during an update" if extra else ""
        why = f"{count} {what}{more} are too many for the edge's {slots} slots"
        key = "replicas" if service.mode == "replicated" else "mode"
        yield draft.problem("services", name, key, why=why, hint=f"raise edge.slots to {count + extra}")
