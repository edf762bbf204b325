"""What rollback, scale and abort begin with: a quick look that needs no settings and no Ansible, and no host that is
down. Who answers, on which manager to work, and the releases there have been."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from llmdeploy.cli.connection import Connection
from llmdeploy.cli.looking import problem
from llmdeploy.cluster.history import Entry, entries, pick
from llmdeploy.cluster.presence import Presence
from llmdeploy.cluster.relay import docker_socket
from llmdeploy.cluster.remote import together
from llmdeploy.cluster.stacks import stack_of
from llmdeploy.engine import ledger
from llmdeploy.engine.api import Docker, DockerError, Json
from llmdeploy.errors import LlmdeployError, SwarmLockedError, UnreachableError
from llmdeploy.render.manifest import Deliveries

GROUP_LABEL = "group."
PATIENCE = 30.0  # seconds; managers that have lost one of them agree on a new leader within


@dataclass(frozen=True)
class Scene:
    """The cluster as it is found; `connection` reaches the hosts that answer, and works on its first manager."""

    connection: Connection
    present: Mapping[str, Presence]
    away: Mapping[str, LlmdeployError]
    docker: Docker
    nodes: list[Json]
    stack: str
    releases: list[Entry]

    @property
    def environment(self) -> str:
        """The environment's name."""
        return self.connection.name

    @property
    def manager(self) -> str:
        """The host that the release engine is started on."""
        return self.connection.first

    @property
    def labels(self) -> dict[int, dict[str, str]]:
        """The labels of the releases by number."""
        return {one.number: one.labels for one in self.releases}

    @property
    def standing(self) -> int:
        """The release the stack is on, 0 before the first good one."""
        return ledger.standing(self.labels)

    def again(self) -> Scene:
        """The scene as it is now."""
        return replace(self, nodes=self.docker.nodes(), releases=entries(self.docker, self.stack))

    def base(self) -> Entry:
        """The release the stack is on. Raises LlmdeployError where there is none."""
        return last_good(self.releases, self.environment)

    @property
    def edge_host(self) -> str:
        """The address at which the manager asks published ports: its own where it runs the edge."""
        addresses = {node["ID"]: _address(node) for node in self.nodes if "group.edge" in _labels(node)}
        if self.present[self.manager].node in addresses or not addresses:
            return "127.0.0.1"
        ready = [node["ID"] for node in self.nodes if node["ID"] in addresses and node["Status"]["State"] == "ready"]
        return addresses[next(iter(ready), next(iter(addresses)))]

    def hosts_of(self, group: str) -> list[str]:
        """The hosts of a group that answer, as the cluster's labels say."""
        nodes = {node["ID"] for node in self.nodes if _labels(node).get(f"{GROUP_LABEL}{group}") == "yes"}
        return [name for name, one in self.present.items() if one.node in nodes]

    def deliveries(self, services: Mapping[Any, Any], pins: Mapping[str, str]) -> tuple[Deliveries, list[str]]:
        """What has to be copied before `services` (of a job) can start, and the services whose image nobody has."""
        lacking: dict[str, set[str]] = {}
        sources: dict[str, str] = {}
        lost: list[str] = []
        for name, entry in services.items():
            pin = pins[entry["image"]]
            takers = [host for host in self.hosts_of(entry["group"]) if not self.present[host].has(pin)]
            holders = [host for host in (self.manager, *self.present) if self.present[host].has(pin)]
            if not takers or "@" in pin:  # a registry has it: Docker asks there itself
                continue
            if not holders:
                lost.append(name)
                continue
            sources[pin] = holders[0]
            for host in takers:
                lacking.setdefault(host, set()).add(pin)
        return Deliveries(lacking, sources), lost

    def absences(self, services: Mapping[str, Any]) -> list[dict[str, Any]]:
        """A warning for each host that cannot be used, with the services of a job that have no other."""
        return [self._absence(host, error, services) for host, error in self.away.items()]

    def _absence(self, host: str, error: LlmdeployError, services: Mapping[str, Any]) -> dict[str, Any]:
        groups = next(one.groups for one in self.connection.outline.inventory.hosts if one.name == host)
        alone = [
            name for name, entry in services.items() if entry["group"] in groups and not self.hosts_of(entry["group"])
        ]
        said = "does not answer" if isinstance(error, UnreachableError) else error.message.removeprefix(f"{host}: ")
        message = f"{said}: what is placed there alone cannot run" + (f" ({', '.join(alone)})" if alone else "")
        return {**problem(host, "reachable", message, error.hint), "level": "warning"}


@contextmanager
def scene(connection: Connection, found: Mapping[str, Presence | LlmdeployError]) -> Iterator[Scene]:
    """Opens Docker on the first manager that answers; `found` is what a look at all hosts gave.

    Raises UnreachableError when no manager does.
    """
    present = {name: one for name, one in found.items() if isinstance(one, Presence)}
    away = {name: one for name, one in found.items() if isinstance(one, LlmdeployError)}
    ours = [access.host for access in connection.managers]
    managers = [name for name in (*ours, *present) if name in present and present[name].manager]
    if not managers:
        raise _no_manager(connection, list(away.values()))
    reachable = connection.only(present, managers[0])
    outline = connection.outline
    with docker_socket(reachable.managers[0]) as path:
        try:
            docker = Docker(patience=PATIENCE, base_url=f"unix://{path}")
            stack = outline.stack if outline.environment else stack_of(docker, outline.name, outline.stack)
            yield Scene(reachable, present, away, docker, docker.nodes(), stack, entries(docker, stack))
        except DockerError as error:
            raise LlmdeployError(f"the cluster does not answer: {error}") from error


def last_good(releases: list[Entry], environment: str) -> Entry:
    """The release the stack is on. Raises LlmdeployError before the first good one."""
    where = ledger.position({one.number: one.labels for one in releases})
    kept = {one.number for one in releases}
    number = where.number if where.number in kept else where.source
    if not number:
        raise LlmdeployError(
            f"{environment} has no good release yet to build upon", hint=f"llmdeploy {environment} deploy"
        )
    return pick(releases, number)


def _no_manager(connection: Connection, errors: list[LlmdeployError]) -> LlmdeployError:
    closed = [error for error in errors if isinstance(error, SwarmLockedError)]
    if closed:
        return SwarmLockedError(together("no manager of the cluster can be used", errors), hint=closed[0].hint)
    if errors:
        return UnreachableError(together("no manager of the cluster can be reached", errors), hint=errors[0].hint)
    return LlmdeployError(f"{connection.name} has no cluster yet", hint=f"llmdeploy {connection.name} deploy")


def _labels(node: Json) -> dict[str, str]:
    return dict(node["Spec"].get("Labels") or {})


def _address(node: Json) -> str:
    """Where a node is reached; a manager's own status may say 0.0.0.0."""
    manager = str((node.get("ManagerStatus") or {}).get("Addr", "")).rpartition(":")[0]
    return manager or str((node.get("Status") or {}).get("Addr", ""))
