"""The secrets of an environment for one run: gathered and checked before a host is contacted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from llmdeploy.config.models import AUTHORITY
from llmdeploy.release.tls import NOT_YET, EdgeTls

if TYPE_CHECKING:
    from llmdeploy.cli.session import Session
    from llmdeploy.config import Environment

CERTIFICATE = "edge_tls"  # the secret that the edge's certificate and key are in the cluster
SHORTEST = 6  # characters; what is shorter stands in too many places that are no secret


@dataclass(frozen=True)
class Sealed:
    """`names`: what each secret that a service is given is called in the cluster; `values`: those names' values.

    `tls`: the edge's certificate, which is one of these secrets.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, str] = field(default_factory=dict, repr=False)
    tls: EdgeTls = NOT_YET

    def redacting(self, redact: Callable[[str], str]) -> Callable[[str], str]:
        """`redact`, which also takes out these secrets, whole or any longer line of them."""
        lines = {line for value in self.values.values() for line in (value, *value.splitlines())}
        hidden = sorted((line for line in lines if len(line) >= SHORTEST), key=len, reverse=True)

        def all_of_them(text: str) -> str:
            text = redact(text)
            for line in hidden:
                text = text.replace(line, "***")
            return text

        return all_of_them if hidden else redact


NOTHING = Sealed()


def seal(session: Session, env: Environment) -> Sealed:
    """The secrets that the services of `env` are given, and the edge's certificate, which is one more.

    Raises ConfigError with every one that has no value, or one that nobody may use; asks for the vault's password
    where one of them is in the vault.
    """
    settings = env.settings
    containers = (settings.edge, *settings.services.values())
    wanted = sorted({use.name for container in containers for use in container.secrets})
    issued = [AUTHORITY] if settings.has_tls and settings.tls.mode == "internal" else []
    if not wanted and not settings.has_tls:
        return NOTHING
    from llmdeploy.secrets import gather, swarm_name
    from llmdeploy.secrets.names import users

    values = gather(
        session.project, env.name, settings.secrets, [*wanted, *issued], users=users(settings), places=places(env)
    )
    authority, certificate = values.pop(AUTHORITY, ""), None
    if settings.has_tls:
        from llmdeploy.cli.securing import certificate_for

        certificate = certificate_for(env, authority)
        values[CERTIFICATE] = certificate.pem
    names = {part: swarm_name(settings.stack, env.name, part, value) for part, value in values.items()}
    tls = certificate.at_edge(names[CERTIFICATE]) if certificate else NOT_YET
    if issued:
        _tell_clients(session.project.authority_file(env.name), tls.authority)
    return Sealed(names, {names[part]: value for part, value in values.items()}, tls)


def known_tls(session: Session, env: Environment) -> EdgeTls:
    """What checks have to know of the edge's certificate. No key is needed, so none is opened where that can be had."""
    settings, file = env.settings, session.project.authority_file(env.name)
    if not settings.has_tls:
        return NOT_YET
    if settings.tls.mode == "internal" and not file.exists():
        return seal(session, env).tls
    from llmdeploy.cli.securing import known

    return known(env, file)


def places(env: Environment) -> dict[str, tuple[str, int]]:
    """Secret → the file and the line it is declared in."""
    marks = {name: env.origins.near(("secrets", name)) for name in env.settings.secrets}
    return {name: (mark.file, mark.line) for name, mark in marks.items()}


def _tell_clients(file: Path, authority: str) -> None:
    """Keeps the authority's certificate, which is no secret, where clients and `verify` find it without a password."""
    with suppress(OSError):  # a folder that cannot be written: `verify` asks for the password then
        if not file.exists() or file.read_text(encoding="utf-8") != authority:
            file.write_text(authority, encoding="utf-8")
