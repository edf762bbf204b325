"""What runs on Docker: services, tasks, containers, and a picture of it all for before and after."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.lab import Host, Lab, shell

DRAINED_WITHIN = 30.0  # seconds; the longest stop grace of the demo is 10
Docker = Callable[[Sequence[str]], str]


def docker_here(words: Sequence[str]) -> str:
    """`docker` against this machine's engine."""
    return shell.docker(*words).stdout


def docker_on(host: Host) -> Docker:
    """`docker` against the engine of a host of the lab."""
    return lambda words: host.docker(list(words)).stdout


def services(docker: Docker) -> dict[str, dict[str, Any]]:
    """Every Swarm service by its name, as Docker describes it, but not what releases themselves use."""
    idents = docker(["service", "ls", "--quiet"]).split()
    found = json.loads(docker(["service", "inspect", *idents])) if idents else []
    return {one["Spec"]["Name"]: one for one in found if one["Spec"]["Labels"].get("llmdeploy.kind") != "helper"}


def tasks(docker: Docker) -> dict[str, dict[str, str]]:
    """Service → {id of a task that should run: the node's host name}."""
    names = list(services(docker))
    row = "{{.ID}} {{.Name}} {{.Node}} {{.CurrentState}}"
    ask = ["service", "ps", "--no-trunc", "--filter", "desired-state=running", "--format", row]
    found: dict[str, dict[str, str]] = {name: {} for name in names}
    for line in docker([*ask, *names]).splitlines() if names else []:
        ident, name, node, _ = line.split(None, 3)
        found[name.split(".")[0]][ident] = node
    return found


def configs(docker: Docker) -> list[str]:
    """The names of Swarm's config objects (locks and the ledger of releases)."""
    return sorted(docker(["config", "ls", "--format", "{{.Name}}"]).split())


def containers(docker: Docker) -> set[str]:
    """The ids of the running containers of an engine."""
    return set(docker(["ps", "--quiet", "--no-trunc"]).split())


@dataclass(frozen=True)
class Snapshot:
    """Everything that must not change when nothing is to change."""

    versions: dict[str, int]
    tasks: dict[str, dict[str, str]]
    configs: list[str]
    containers: dict[str, set[str]]


def snapshot(manager: Docker, engines: Mapping[str, Docker]) -> Snapshot:
    """What runs now, as soon as what was replaced has ended; `engines`: name → engine."""
    until = time.monotonic() + DRAINED_WITHIN
    found = _snapshot(manager, engines)
    while sum(map(len, found.containers.values())) > sum(map(len, found.tasks.values())) and time.monotonic() < until:
        time.sleep(0.5)
        found = _snapshot(manager, engines)
    return found


def _snapshot(manager: Docker, engines: Mapping[str, Docker]) -> Snapshot:
    versions = {name: int(one["Version"]["Index"]) for name, one in services(manager).items()}
    return Snapshot(
        versions, tasks(manager), configs(manager), {name: containers(one) for name, one in engines.items()}
    )


def lab_snapshot(lab: Lab) -> Snapshot:
    """What runs on all hosts of a lab; its first host is a manager."""
    return snapshot(docker_on(next(iter(lab))), {host.name: docker_on(host) for host in lab})
