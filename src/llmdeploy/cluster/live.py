"""The cluster as it is: one connection to the first manager that answers, one reading of everything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from llmdeploy.cluster.access import Access
from llmdeploy.cluster.locked import locked
from llmdeploy.cluster.relay import docker_socket
from llmdeploy.cluster.remote import run, together
from llmdeploy.engine.api import Docker, DockerError
from llmdeploy.engine.spec import KIND_LABEL, STACK_LABEL
from llmdeploy.errors import LlmdeployError, SwarmLockedError, UnreachableError

PATIENCE = 5.0  # seconds; a person is waiting
LOCKED = "needs to be unlocked"  # of Docker's answer to whatever a locked manager is asked
NO_CLUSTER = ("not a swarm manager", "not part of a swarm")
Json = dict[str, Any]


@dataclass(frozen=True)
class Live:
    """One reading of Docker's raw objects; services and tasks of our stack only.

    What a release under way uses for a moment (`is_helper`) is no service of the stack.
    """

    services: dict[str, Json]
    tasks: list[Json]
    nodes: list[Json]
    configs: list[Json]
    networks: dict[str, str]


@contextmanager
def manager(accesses: Sequence[Access]) -> Iterator[Docker | None]:
    """Docker on the first manager that answers; None when Docker runs but there is no cluster yet, or no Docker.

    Raises UnreachableError when no manager can be reached, with each one's reason; SwarmLockedError when those that
    can are locked.
    """
    reasons: list[LlmdeployError] = []
    closed: list[LlmdeployError] = []
    for access in accesses:
        try:
            found = run(access, ["sh", "-c", "test -S /var/run/docker.sock && echo yes || echo no"], timeout=10)
        except UnreachableError as error:
            reasons.append(error)
            continue
        if found.strip() != "yes":
            yield None
            return
        with docker_socket(access) as path:
            docker = Docker(patience=PATIENCE, base_url=f"unix://{path}")
            try:
                usable = _if_manager(docker, access.host)
            except SwarmLockedError as error:
                closed.append(error)
                continue
            yield usable
        return
    if closed:
        raise SwarmLockedError(together("no manager can be used", [*closed, *reasons]), hint=closed[0].hint)
    raise UnreachableError(together("no manager can be reached", reasons), hint=reasons[0].hint)


def _if_manager(docker: Docker, host: str) -> Docker | None:
    try:
        docker.hosts()
    except DockerError as error:
        if any(text in str(error) for text in NO_CLUSTER):
            return None
        if LOCKED in str(error):
            raise locked(host) from None
        raise LlmdeployError(f"the cluster does not answer: {error}") from error
    return docker


def read(docker: Docker, stack: str) -> Live:
    """Everything about the stack, in five requests."""
    return Live(
        services=ours(docker.services(), stack),
        tasks=docker.tasks(stack, up_to_date=False),
        nodes=docker.nodes(),
        configs=docker.configs(stack),
        networks={identity: name for name, identity in docker.ids()["networks"].items()},
    )


def ours(services: Iterable[Json], stack: str) -> dict[str, Json]:
    """The services of our stack by name."""
    return {item["Spec"]["Name"]: item for item in services if stack_of(item) == stack and not is_helper(item)}


def stack_of(service: Json) -> str:
    """The stack a service belongs to, empty for a foreign one."""
    return str((service["Spec"].get("Labels") or {}).get(STACK_LABEL, ""))


def is_helper(service: Json) -> bool:
    """Whether a service of ours is one that a release uses for a moment, none of the stack."""
    return (service["Spec"].get("Labels") or {}).get(KIND_LABEL) == "helper"
