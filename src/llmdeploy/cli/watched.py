"""The environment with the parts of its monitoring among its services: where the files switch it on, and where
`monitoring` has brought it up and it stands since."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from llmdeploy.cli.connection import Connection, connect
from llmdeploy.cli.sealing import seal
from llmdeploy.cluster import live
from llmdeploy.config import outline_of
from llmdeploy.errors import LlmdeployError
from llmdeploy.release.spec import is_part

if TYPE_CHECKING:
    from llmdeploy.cli.session import Session
    from llmdeploy.config import Environment

ON, OFF = "monitoring.enabled=true", "monitoring.enabled=false"


def load(session: Session) -> Environment:
    """As `Session.load`, with the monitoring's parts where the files switch it on. Raises as that."""
    env = session.load()
    return with_parts(session, env) if env.settings.monitoring.enabled else env


def switched(session: Session, setting: str) -> Session:
    """The session with the monitoring `ON` or `OFF`, whatever the files say."""
    return replace(session, overrides=[*session.overrides, setting])


@contextmanager
def connected(session: Session, env: Environment) -> Iterator[Connection]:
    """Connects to `env` with its secrets; the parts of the monitoring belong to it as well where they stand."""
    with connect(session, env, seal(session, env)) as connection:
        whole = standing(session, connection)
        if whole is env:
            yield connection
        else:
            yield replace(connection, outline=outline_of(whole), sealed=seal(session, whole))


def standing(session: Session, connection: Connection) -> Environment:
    """The environment of `connection`, with the parts of the monitoring where the cluster has them."""
    env = connection.env
    if env.settings.monitoring.enabled:
        return env
    try:
        with live.manager(connection.managers) as docker:
            parts = [one for one in docker.services() if is_part(one, env.settings.stack)] if docker else []
    except LlmdeployError:
        return env  # whoever needs the cluster says so, of every host that cannot be used
    return load(switched(session, ON)) if parts else env


def with_parts(session: Session, env: Environment) -> Environment:
    """`env`, whose monitoring is on, with the parts as services like its others."""
    from llmdeploy.cli.securing import names_of
    from llmdeploy.monitoring.parts import part_services
    from llmdeploy.monitoring.scope import Scope
    from llmdeploy.release.tls import NOT_YET

    settings = env.settings
    authority = _authority(session, env)
    names = tuple(names_of(env) if settings.tls.mode == "internal" else settings.tls.names)
    tls = replace(NOT_YET, authority=authority or "", name=names[0] if names else "", names=names)
    hosts = {
        host.name: str(host.variables.get("llmdeploy_advertise_addr") or host.address) for host in env.inventory.hosts
    }
    scope = Scope(env.name, settings, hosts, tls)
    group = settings.monitoring.home(env.inventory.groups)
    parts = part_services(scope, group, _home(env), authority)
    return replace(env, settings=settings.model_copy(update={"services": {**settings.services, **parts}}))


def _authority(session: Session, env: Environment) -> str | None:
    """The project's file with the authority of the edge's certificate; None where the system's own are trusted."""
    tls = env.settings.tls
    if tls.mode == "internal":
        return str(session.project.authority_file(env.name).relative_to(session.project.root))
    return tls.authority if tls.mode == "files" else None


def _home(env: Environment) -> str:
    """Where people reach the edge, without a port."""
    from llmdeploy.render.images import edge_hosts

    name = next(iter(env.settings.tls.names), edge_hosts(env)[0].address)
    return f"{'http' if env.settings.tls.mode == 'off' else 'https'}://{name}"
