"""A run's private folder and the way to each host, opened together and closed together."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from llmdeploy.cli.sealing import NOTHING, Sealed
from llmdeploy.cli.session import Session
from llmdeploy.cluster.access import Access, access, close
from llmdeploy.config import Environment, Host, Outline, outline_of
from llmdeploy.errors import LlmdeployError
from llmdeploy.render.images import edge_hosts
from llmdeploy.render.rundir import run_directory
from llmdeploy.render.variables import Reach, managers


@dataclass(frozen=True)
class Connection:
    """An environment with the means to reach its hosts; `first` is the manager to work on, where it is not the first
    of the inventory; `sealed` are the secrets that its services are given; `known_hosts` are its hosts' SSH keys."""

    outline: Outline
    path: Path
    accesses: dict[str, Access]
    first: str = ""
    sealed: Sealed = NOTHING
    known_hosts: Path | None = None

    @property
    def name(self) -> str:
        """The environment's name."""
        return self.outline.name

    @property
    def env(self) -> Environment:
        """The whole environment; raises ConfigError where the files do not give it."""
        if self.outline.environment is None:
            raise self.outline.error or LlmdeployError(f"the settings of {self.name} cannot be read")
        return self.outline.environment

    @property
    def managers(self) -> list[Access]:
        """The managers, the one the release engine runs on first."""
        names = dict.fromkeys([*([self.first] if self.first else []), *managers(self.outline.inventory)])
        return [self.accesses[name] for name in names if name in self.accesses]

    @property
    def edge_host(self) -> str:
        """The address at which the first manager asks published ports."""
        edges, manager = edge_hosts(self.env), managers(self.outline.inventory)[0]
        return "127.0.0.1" if manager in [host.name for host in edges] else self._inner(edges[0])

    @property
    def edge_access(self) -> Access:
        """The host whose edge container asks from inside the network: a manager where one runs the edge."""
        names = [host.name for host in edge_hosts(self.env) if host.name in self.accesses]
        if not names:
            raise LlmdeployError("no host that runs the edge can be reached", hint=f"llmdeploy {self.name} doctor")
        return self.accesses[next((name for name in managers(self.outline.inventory) if name in names), names[0])]

    def only(self, hosts: Collection[str], first: str) -> Connection:
        """The same without the hosts that cannot be used, working on the manager `first`."""
        return replace(
            self, accesses={name: self.accesses[name] for name in self.accesses if name in hosts}, first=first
        )

    def reach(self) -> dict[str, Reach]:
        """The same for the rendered inventory."""
        return {name: Reach(one.ssh, one.become) for name, one in self.accesses.items()}

    @staticmethod
    def _inner(host: Host) -> str:
        return str(host.variables.get("llmdeploy_advertise_addr") or host.address)


@contextmanager
def connect(session: Session, env: Environment | Outline, sealed: Sealed = NOTHING) -> Iterator[Connection]:
    """Opens the run's private folder; at the end nothing of it is left, neither files nor ssh processes."""
    outline = env if isinstance(env, Outline) else outline_of(env)
    with run_directory() as path:
        hosts = outline.inventory.hosts
        file = session.project.known_hosts(outline.name)
        known = file if file.exists() else None
        accesses = {host.name: access(host, path / "cm", session.become_password, known) for host in hosts}
        try:
            yield Connection(outline, path, accesses, sealed=sealed, known_hosts=known)
        finally:
            close(list(accesses.values()))
