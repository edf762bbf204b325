"""The verdict on one service from its tasks, pure.

Docker's own words are not enough: `updating` may last for ever (no node, no image), `completed` may follow a
rollback, and ServiceStatus counts tasks of the old specification. So only up-to-date tasks count, and as failures
only those that were not there before the write: no clock of any host is compared with another.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from .spec import mode, replicas

UNPLACEABLE_AFTER = 20.0  # seconds without a node before we say that there is none
FAILURES_ALLOWED = 1
_ENDED_BY_DOCKER = (
    None,
    0,
    130,
    137,
    143,
)  # Docker says "unhealthy" of a program, too, that ends before its first check
CRASHED = ("failed", "rejected", "complete", "orphaned")  # ended, and nobody had told it to
_STOPPED = ("paused", "rollback_started", "rollback_paused", "rollback_completed")
_WAITING_FOR = {
    "new": "waiting for Docker to place it",
    "pending": "waiting for a node",
    "assigned": "waiting for its host",
    "accepted": "waiting for its host",
    "preparing": "its host prepares the image and the network",
    "ready": "about to start",
    "starting": "started, waiting for its health check",
}

Task = dict[str, Any]
Service = dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    """Where a service stands: `state` starting, healthy or failed, and the task that shows it."""

    state: str
    healthy: int = 0
    wanted: int = 0
    ids: frozenset[str] = frozenset()
    reason: str = ""
    task: Task | None = None


def judge(
    service: Service,
    tasks: Collection[Task],
    *,
    before: Collection[str] = (),
    pending: Mapping[str, float] | None = None,
    written: bool = True,
    canary: bool = False,
) -> Verdict:
    """The verdict on `service` (from the service list, with status).

    `tasks` are its up-to-date ones, `before` the ids that existed when the watch began, `pending` the seconds each
    task has been waiting for a node, `written` whether the watch began with a write, `canary` whether one replica of
    the new specification is enough.
    """
    crashed = sorted((task for task in tasks if _crashed(task, before)), key=lambda task: str(task["CreatedAt"]))
    running = {_slot(task): task for task in tasks if task["DesiredState"] == "running" and _state(task) == "running"}
    meant = {_slot(task) for task in tasks if task["DesiredState"] in ("running", "ready")}
    count = _count(service)
    stopped = written and (service.get("UpdateStatus") or {}).get("State") in _STOPPED
    if crashed and (stopped or len(crashed) > FAILURES_ALLOWED):
        return Verdict("failed", len(running), count, reason=_crash_reason(crashed), task=crashed[-1])
    if stopped:
        return Verdict("failed", len(running), count, reason=f"Docker stopped the update: {_message(service)}")
    unplaced = [task for task in tasks if _unplaceable(task, pending or {})]
    if unplaced:
        reason = f"no host can run it: {error(unplaced[0])}"
        return Verdict("failed", len(running), count, reason=reason, task=unplaced[0])
    if canary and running and not crashed:
        return Verdict("healthy", len(running), count, ids=frozenset(task["ID"] for task in running.values()))
    if len(running) == len(meant) == count and (count or mode(service["Spec"]) == "Replicated"):
        return Verdict("healthy", count, count, ids=frozenset(task["ID"] for task in running.values()))
    slowest = _slowest(tasks, running)
    shows = slowest or next(reversed(crashed), None)
    return Verdict("starting", len(running), count, reason=_waiting(slowest, crashed), task=shows)


def error(task: Task | None) -> str:
    """The error Docker keeps with a task."""
    return str(((task or {}).get("Status") or {}).get("Err") or "")


def is_pending(task: Task) -> bool:
    """Whether the scheduler has said that it finds no node for this task.

    A busy host port is left out: with stop-first it is our own old task that still drains.
    """
    return _state(task) == "pending" and bool(error(task)) and "port already in use" not in error(task)


def _state(task: Task) -> str:
    return str(task["Status"]["State"])


def _slot(task: Task) -> str:
    return str(task.get("Slot") or task.get("NodeID"))


def _count(service: Service) -> int:
    if mode(service["Spec"]) == "Replicated":
        return replicas(service["Spec"])
    return int((service.get("ServiceStatus") or {}).get("DesiredTasks", 0))


def _crashed(task: Task, before: Collection[str]) -> bool:
    return _state(task) in CRASHED and task["ID"] not in before


def _unplaceable(task: Task, pending: Mapping[str, float]) -> bool:
    return is_pending(task) and pending.get(task["ID"], 0.0) > UNPLACEABLE_AFTER


def _slowest(tasks: Collection[Task], running: Mapping[str, Task]) -> Task | None:
    waiting = [task for task in tasks if _state(task) in _WAITING_FOR and _slot(task) not in running]
    order = list(_WAITING_FOR)
    return min(waiting, key=lambda task: order.index(_state(task)), default=None)


def _waiting(task: Task | None, crashed: list[Task]) -> str:
    said = f"{_WAITING_FOR[_state(task)]}{': ' + error(task) if error(task) else ''}" if task else "waiting for Docker"
    return f"{said}; failed once: {_crash_reason(crashed[-1:])}" if crashed else said


def _crash_reason(crashed: list[Task]) -> str:
    task, times = crashed[-1], f" ({len(crashed)} times)" if len(crashed) > 1 else ""
    status = task["Status"]
    code = (status.get("ContainerStatus") or {}).get("ExitCode")
    if "unhealthy" in error(task) and code in _ENDED_BY_DOCKER:
        return f"its health check failed{times}"
    if _state(task) == "rejected":
        return f"its host refused to start it{times}: {error(task)}"
    if _state(task) == "complete":
        return f"it ended with exit code {code or 0}{times}"
    return f"it crashed{times}" + (f" with exit code {code}" if code else f": {error(task)}")


def _message(service: Service) -> str:
    return str((service.get("UpdateStatus") or {}).get("Message") or "no reason given")
