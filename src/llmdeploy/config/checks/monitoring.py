"""Monitoring that is switched on: its names and ports are free, its data has one host, its secrets are declared."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from llmdeploy.config.draft import Draft
from llmdeploy.config.nearest import did_you_mean
from llmdeploy.config.watching import OWN_GROUP, PARTS, Receiver
from llmdeploy.errors import Problem


def check(draft: Draft) -> Iterator[Problem]:
    """What stands in the way of the monitoring; nothing where it is off, but for secrets that nobody declares."""
    yield from _secrets(draft)
    monitoring = draft.settings.monitoring
    if not monitoring.enabled:
        return
    yield from _group(draft)
    yield from _builds(draft)
    taken = {port.edge: name for name, service in draft.services() for port in service.ports if port.edge}
    for part in PARTS:
        if not monitoring.has(part):
            continue
        if part in draft.names:
            why = f"`{part}` is a part of the monitoring, which is switched on"
            yield draft.problem("services", part, why=why, hint="give the service another name")
        port = monitoring.published(part)
        if port in taken:
            why = f"port {port} of the monitoring's {part} is published by `{taken[port]}` already"
            hint = f"`monitoring.parts.{part}.published: NUMBER` lets the edge answer on another port"
            yield draft.problem("monitoring", "parts", part, "published", why=why, hint=hint)
        elif port:
            taken[port] = part


def _group(draft: Draft) -> Iterator[Problem]:
    if draft.inventory is None or not draft.inventory.hosts:
        return
    groups = draft.inventory.groups
    group = draft.settings.monitoring.home(groups)
    hint = f"a group `{OWN_GROUP}` with one host in {draft.inventory.file}, or `monitoring.group: NAME`"
    if group not in groups:
        near = did_you_mean(group, set(groups) - {"ungrouped"})
        yield draft.problem(
            "monitoring", "group", why=f"no group `{group}` in {draft.inventory.file}", hint=near or hint
        )
    elif len(groups[group]) != 1:
        many = f"{len(groups[group])} hosts" if groups[group] else "no host"
        why = f"the group `{group}` has {many}; what the monitoring keeps lies on one host"
        yield draft.problem("monitoring", "group", why=why, hint=hint)


def _builds(draft: Draft) -> Iterator[Problem]:
    for name, part in draft.settings.monitoring.parts.items():
        if part.build and not part.image and not Path(draft.root / part.build / "Dockerfile").is_file():
            yield draft.problem("monitoring", "parts", name, "build", why=f"no file `{part.build}/Dockerfile`")


def _secrets(draft: Draft) -> Iterator[Problem]:
    for name, receiver in draft.settings.monitoring.alerts.receivers.items():
        for path, secret in _uses(receiver):
            if secret not in draft.settings.secrets:
                where = ("monitoring", "alerts", "receivers", name, *path)
                hint = did_you_mean(secret, draft.settings.secrets)
                hint = hint or f"declare it: `secrets: {{{secret}: {{kind: given}}}}`"
                yield draft.problem(*where, why=f"nobody declares a secret `{secret}`", hint=hint)


def _uses(receiver: Receiver) -> Iterator[tuple[tuple[str, ...], str]]:
    if receiver.webhook_secret:
        yield ("webhook_secret",), receiver.webhook_secret
    if receiver.slack:
        yield ("slack", "secret"), receiver.slack.secret
    if receiver.email and receiver.email.secret:
        yield ("email", "secret"), receiver.email.secret
