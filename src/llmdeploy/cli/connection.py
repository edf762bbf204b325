"""A run's private folder and the way to each host, opened together and closed together."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from llmdeploy.cli.session import Session
from llmdeploy.cluster.access import Access, access, close
from llmdeploy.config import Environment, Host
from llmdeploy.render.images import edge_hosts
from llmdeploy.render.rundir import run_directory
from llmdeploy.render.variables import Reach, managers


@dataclass(frozen=True)
class Connection:
    """An environment with the means to reach its hosts."""

    env: Environment
    path: Path
    accesses: dict[str, Access]

    @property
    def managers(self) -> list[Access]:
        """The managers, the one the release engine runs on first."""
        return [self.accesses[name] for name in managers(self.env)]

    @property
    def edge_host(self) -> str:
        """The address at which the first manager asks published ports."""
        edges = edge_hosts(self.env)
        return "127.0.0.1" if managers(self.env)[0] in [host.name for host in edges] else self._inner(edges[0])

    @property
    def edge_access(self) -> Access:
        """The host whose edge container asks from inside the network: a manager where one runs the edge."""
        names = [host.name for host in edge_hosts(self.env)]
        return self.accesses[next((name for name in managers(self.env) if name in names), names[0])]

    def reach(self) -> dict[str, Reach]:
        """The same for the rendered inventory."""
        return {name: Reach(one.ssh, one.become) for name, one in self.accesses.items()}

    @staticmethod
    def _inner(host: Host) -> str:
        return str(host.variables.get("llmdeploy_advertise_addr") or host.address)


@contextmanager
def connect(session: Session, env: Environment) -> Iterator[Connection]:
    """Opens the run's private folder; at the end nothing of it is left, neither files nor ssh processes."""
    with run_directory() as path:
        accesses = {host.name: access(host, path / "cm", session.become_password) for host in env.inventory.hosts}
        try:
            yield Connection(env, path, accesses)
        finally:
            close(list(accesses.values()))
