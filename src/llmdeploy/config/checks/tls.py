"""TLS at the edge: what belongs to which mode, and that production has it."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator

from llmdeploy.config.checks.files import is_there
from llmdeploy.config.draft import Draft
from llmdeploy.config.models import AUTHORITY
from llmdeploy.errors import Problem

RESERVED = "edge_tls"  # what the edge's certificate is called in the cluster
_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})*")
_FILES = ("certificate", "key", "authority")


def check(draft: Draft) -> Iterator[Problem]:
    """Files that the mode needs or does not use, names that are none, ports without TLS in production."""
    if not draft.whole("tls"):
        return
    yield from _files(draft)
    yield from _names(draft)
    yield from _secrets(draft)
    yield from _ports(draft)


def _files(draft: Draft) -> Iterator[Problem]:
    tls = draft.settings.tls
    if tls.mode == "acme":
        # From HAProxy 3.2 on as an experiment: each edge host for itself, and what it was issued is lost at a restart.
        hint = "`mode: files` with the files of an ACME client, whose hook runs `llmdeploy ENV tls renew`"
        yield draft.problem("tls", "mode", why="the edge's HAProxy has no ACME that can be relied upon", hint=hint)
        return
    for key in _FILES:
        name = getattr(tls, key)
        if name and tls.mode != "files":
            yield draft.problem("tls", key, why=f"is not used with `mode: {tls.mode}`", hint="`mode: files` uses it")
        elif tls.mode == "files" and not name and key != "authority":
            yield draft.problem("tls", key, why="`mode: files` needs it")
        elif name and not is_there(draft.root / name, "file"):
            yield draft.problem("tls", key, why=f"no file `{name}`")
    if tls.mode == "files" and not tls.names:
        yield draft.problem("tls", "names", why="`mode: files` needs the names that clients use")


def _names(draft: Draft) -> Iterator[Problem]:
    for index, name in enumerate(draft.settings.tls.names):
        if not _is_host(name):
            yield draft.problem("tls", "names", index, why="is neither a host's name nor an address")


def _is_host(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return len(name) <= 253 and _HOST.fullmatch(name) is not None
    return True


def _secrets(draft: Draft) -> Iterator[Problem]:
    secrets = draft.settings.secrets
    if RESERVED in secrets:
        why = f"the name `{RESERVED}` belongs to the edge's certificate"
        yield draft.problem("secrets", RESERVED, why=why, value="")
    mine = secrets.get(AUTHORITY)
    if mine and mine.kind != "authority" and not (mine.command or mine.variable):
        why = f"the name `{AUTHORITY}` belongs to the authority of the edge's certificates"
        yield draft.problem("secrets", AUTHORITY, "kind", why=why, hint="`kind: authority`")


def _ports(draft: Draft) -> Iterator[Problem]:
    """In production nothing that llmdeploy can encrypt goes through the edge in clear, unless somebody says so."""
    settings = draft.settings
    strict = draft.environment == "production" and not settings.tls.allow_plaintext
    hint = "`tls.allow_plaintext: true` accepts it"
    if strict and settings.tls.mode == "off":
        yield draft.problem("tls", "mode", why="production without TLS at the edge", hint=hint)
    for name, service in draft.services():
        for index, port in enumerate(service.ports):
            path = ("services", name, "ports", index, "tls")
            if port.tls is not None and port.edge is None:
                yield draft.problem(*path, why="is about a port that is not published", hint="add `published: true`")
            elif strict and port.tls is False and port.protocol != "tcp" and settings.tls.mode != "off":
                yield draft.problem(*path, why=f"production without TLS on port {port.edge}", hint=hint)
