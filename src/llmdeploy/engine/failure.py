"""Why a service failed, collected for somebody who was asleep a minute ago: task, health, log, what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .api import Docker, DockerError, MissingError
from .compare import Unit
from .progress import harmless
from .tasks import Task, error

LOG_LINES = 20
OUTPUTS, LONGEST_OUTPUT = 3, 500  # of health checks
_HINTS = (
    ("the edge has failed", "correct the edge first: its own failure is told as well"),
    ("no suitable node", "check the labels and the free memory and CPUs of the hosts (status shows labels and nodes)"),
    ("No such image", "the host has lost the image: deploy again, the image is then delivered again"),
    ("port already in use", "another program on the host holds the port: `ss -ltnp` there shows which"),
    ("health check failed", "the program runs but does not answer as its health check wants: see its output and log"),
    ("exit code 137", "137 means killed, mostly for memory: compare the service's memory limit with what it needs"),
    ("crashed", "the program ends by itself: the log says why"),
    ("it ended with", "a service has to keep running: look at its command"),
    ("by somebody else", "find out who works on this cluster, then deploy again"),
    ("waiting for its health check", "it needs longer than its deadline to become healthy: see its log, or allow more"),
    ("prepares the image", "its host is busy with the image or the network: look at Docker's own log there"),
    (": check ", "the service is healthy but cannot be reached this way: look at the edge and at the port"),
)


def describe(docker: Docker, unit: Unit, others: dict[str, str]) -> dict[str, Any]:
    """The values of the progress line `failure` for a unit whose detail says the reason."""
    task = unit.verdict.task
    container_id = (((task or {}).get("Status") or {}).get("ContainerStatus") or {}).get("ContainerID") or ""
    container = _container(docker, container_id)
    reason, hint = explain(harmless(unit.detail), error(task), failing=_failing(container))
    return {
        "service": unit.name,
        "reason": reason,
        "host": _host(docker, task),
        "container": container_id,
        "task_error": harmless(error(task)),
        "health": _health(container, task),
        "log": _log(docker, task),
        "others": others,
        "hint": hint,
    }


def explain(reason: str, task_error: str, *, failing: bool) -> tuple[str, str]:
    """The reason in words that are true, and what to do; `failing`: the container's last health checks failed."""
    if failing and reason.startswith("it ended with"):
        reason = f"its health check failed and Docker stopped it: {reason}"
    return reason, next((hint for word, hint in _HINTS if word in f"{reason} {task_error}"), "look at its log")


def _container(docker: Docker, container_id: str) -> dict[str, Any] | None:
    try:
        return docker.container(container_id) if container_id else None
    except DockerError:
        return None  # it runs on another host, or is gone


def _failing(container: dict[str, Any] | None) -> bool:
    return bool((((container or {}).get("State") or {}).get("Health") or {}).get("FailingStreak"))


def _health(container: dict[str, Any] | None, task: Task | None) -> str:
    if container is None:
        return "(only its own host knows it)" if task and "unhealthy" in error(task) else ""
    return health_output((container.get("State") or {}).get("Health") or {})


def health_output(health: Mapping[str, Any]) -> str:
    """What the last health checks said (Docker's `State.Health`): the failed ones, the same only once.

    The very last ones may have been asked of a program that was being stopped, and say little.
    """
    checks = [one for one in health.get("Log") or [] if str(one.get("Output", "")).strip()]
    failed = [one for one in checks if one.get("ExitCode")] or checks[-1:]
    said = list(dict.fromkeys(harmless(one["Output"]).strip()[:LONGEST_OUTPUT] for one in failed))
    return "\n".join(said[-OUTPUTS:])


def _host(docker: Docker, task: Task | None) -> str:
    try:
        return docker.hosts().get((task or {}).get("NodeID", ""), "") if task else ""
    except DockerError:
        return ""


def _log(docker: Docker, task: Task | None) -> list[str]:
    if task is None or not (task["Status"].get("ContainerStatus") or {}).get("ContainerID"):
        return []
    try:
        lines = docker.task_log(task["ID"]).splitlines()
    except MissingError:
        return ["(the task is gone, and its log with it)"]
    except DockerError as problem:
        return [f"(its log is not to be had: {harmless(problem)})"]
    return [harmless(line)[:500] for line in lines[-LOG_LINES:]] or ["(it printed nothing)"]
