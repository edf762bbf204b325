"""`monitoring open`: where the monitoring is, how to get its password, and the way there over SSH."""

from __future__ import annotations

import shlex
import subprocess
from typing import TYPE_CHECKING, Any

from llmdeploy.cli.session import Outcome
from llmdeploy.errors import Exit, LlmdeployError

if TYPE_CHECKING:
    from llmdeploy.cli.session import Session
    from llmdeploy.cluster.access import Access
    from llmdeploy.config.models import Settings

PEOPLE = ("grafana", "prometheus", "alertmanager", "loki")


def open_monitoring(session: Session, *, tunnel: bool) -> Outcome:
    """What there is to open; with `tunnel` it is brought to this machine until somebody ends it.

    Raises LlmdeployError where there is no monitoring.
    """
    from llmdeploy.cli.connection import connect
    from llmdeploy.cli.watched import load, standing
    from llmdeploy.config.watching import PARTS

    env = load(session)
    with connect(session, env) as connection:
        whole = standing(session, connection)
        if not any(part in whole.settings.services for part in PARTS):
            hint = f"llmdeploy {env.name} monitoring brings it up"
            raise LlmdeployError(f"{env.name} has no monitoring", hint=hint)
        access = connection.edge_access
        found = _addresses(whole.settings, access.address)
        command = [] if access.local else _tunnel(access, [one["port"] for one in found])
        data: dict[str, Any] = {
            "environment": env.name,
            "addresses": found,
            "password": f"llmdeploy {env.name} secrets get grafana_admin_password",
            "tunnel": shlex.join(command),
        }
        if tunnel:
            _forward(session, access, command, found)
    return Outcome("monitoring", data, Exit.DONE)


def _addresses(settings: Settings, host: str) -> list[dict[str, Any]]:
    """Each published part for people: its name, its address at the edge, and whether it has a login."""
    parts = {part: settings.services[part] for part in PEOPLE if part in settings.services}
    return [
        {
            "part": part,
            "url": f"{'https' if settings.secured(port) else 'http'}://{host}:{port.edge}",
            "port": port.edge,
            "login": part == "grafana",
        }
        for part, service in parts.items()
        for port in service.ports
        if port.edge
    ]


def _tunnel(access: Access, ports: list[int]) -> list[str]:
    """The ssh command that brings the ports of a host's edge to the same ports of this machine."""
    program, *options, host = access.ssh
    own = ["-o", "ControlMaster=no", "-o", "ControlPath=none", "-o", "ExitOnForwardFailure=yes"]  # first, so they count
    forwards = [word for port in ports for word in ("-L", f"127.0.0.1:{port}:127.0.0.1:{port}")]
    return [program, *own, *options, "-N", *forwards, host]


def _forward(session: Session, access: Access, command: list[str], found: list[dict[str, Any]]) -> None:
    """Runs the tunnel until Ctrl-C. Raises LlmdeployError where ssh ends by itself."""
    if access.local:
        raise LlmdeployError("the edge is on this machine: its ports are here already")
    for one in found:
        session.note(f"{one['part']}: {one['url'].replace(access.address, 'localhost')}")
    session.note("open until Ctrl-C")
    try:
        done = subprocess.run(command, check=False, stdin=subprocess.DEVNULL)
    except KeyboardInterrupt:
        return
    raise LlmdeployError(f"ssh ended with {done.returncode}", hint="another program may have one of these ports")
