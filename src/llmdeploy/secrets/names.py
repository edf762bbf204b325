"""What there is to keep, and who is given it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from llmdeploy.config.models import AUTHORITY

if TYPE_CHECKING:
    from llmdeploy.config.models import Secret, Settings


UNLOCK_KEY = "swarm_unlock_key"  # in the encrypted file, our own: `swarm unlock-key --store`


def owner(part: str) -> str:
    """In: `tls`, `tls.crt` or `jwt.pub`. Out: the name it is declared by."""
    return part.split(".", 1)[0]


def all_parts(declared: Mapping[str, Secret]) -> list[str]:
    """Out: everything that has a value of its own, in the order it is declared."""
    return [part for name, secret in declared.items() for part in secret.parts(name)]


def store_of(secret: Secret) -> str:
    """Out: `file`, `command` or `variable`."""
    return "command" if secret.command else "variable" if secret.variable else "file"


def in_file(declared: Mapping[str, Secret]) -> dict[str, Secret]:
    """Out: the secrets whose values are kept in the encrypted file."""
    return {name: secret for name, secret in declared.items() if store_of(secret) == "file"}


def users(settings: Settings) -> dict[str, list[str]]:
    """Out: every part that is given to somebody, and to which services; the edge is one of them.

    The authority itself is given to nobody, but what it issues is the edge's.
    """
    found: dict[str, list[str]] = {AUTHORITY: ["edge"]} if AUTHORITY in settings.secrets and settings.has_tls else {}
    for name, container in (*settings.services.items(), ("edge", settings.edge)):
        for part in dict.fromkeys(use.name for use in container.secrets):
            found.setdefault(part, []).append(name)
    return found


def users_of(name: str, secret: Secret, given: Mapping[str, list[str]]) -> list[str]:
    """Out: the services that are given any part of a secret."""
    return list(dict.fromkeys(service for part in secret.parts(name) for service in given.get(part, [])))
