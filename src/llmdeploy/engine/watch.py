"""Brings one service up: writes it, follows its tasks, asks whether it answers."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from typing import Any

from . import spec, tasks
from .api import ConflictError, Docker, ExistsError, Json, MissingError
from .checks import run_check
from .compare import Comparison, Unit
from .progress import harmless

CANARY_PAUSE = 24 * 3600 * 10**9  # nanoseconds; Docker waits that long after the first replica, if nobody writes


def write(docker: Docker, unit: Unit, found: Comparison, release: int) -> None:
    """Create or update the service, in the stage `canary` for one replica only.

    Raises ConflictError when somebody else wrote it since the comparison.
    """
    live = unit.live
    for _attempt in range(3):
        body = spec.for_writing(unit.wanted, live and live["Spec"], release, found.ids)
        if unit.stage == "canary":
            body["UpdateConfig"] = {**(body.get("UpdateConfig") or {}), "Parallelism": 1, "Delay": CANARY_PAUSE}
        try:
            if live is None:
                docker.create(body)
            else:
                docker.update(live["ID"], live["Version"]["Index"], body)
            break
        except (ConflictError, ExistsError):
            now = docker.service(unit.name)
            if release_of(now) == str(release) != release_of(live):
                break  # our own write, whose answer was lost
            # Docker's own bookkeeping raises the version too; only another specification is another writer.
            if live is None or now["Spec"] != live["Spec"]:
                raise ConflictError(f"{unit.name} was changed by somebody else since this release began") from None
            live = now
    written = docker.service(unit.name)
    unit.service_id, unit.spec_seen, unit.touched = written["ID"], written["Spec"], True
    unit.live = written if unit.stage == "canary" else unit.live


def release_of(service: Json | None) -> str:
    """The number of the release that wrote a live service last; empty when none of ours did."""
    return str((((service or {}).get("Spec") or {}).get("Labels") or {}).get(spec.RELEASE_LABEL, ""))


def remove(docker: Docker, unit: Unit) -> None:
    """Remove the service. Raises ConflictError when somebody else wrote it since the comparison."""
    assert unit.live is not None  # noqa: S101 (only what is there is removed)
    try:
        now = docker.service(unit.live["ID"])
    except MissingError:
        return
    if now["Spec"] != unit.live["Spec"]:
        raise ConflictError(f"{unit.name} was changed by somebody else since this release began")
    unit.touched = True
    docker.remove_service(unit.live["ID"])


def old_ones_run(units: Iterable[Unit], docker: Docker, stack: str) -> bool:
    """Whether tasks of these services still run that are not of the new specification."""
    ours = {unit.service_id: unit.verdict.ids for unit in units}
    return any(
        task["ServiceID"] in ours and task["Status"]["State"] == "running" and task["ID"] not in ours[task["ServiceID"]]
        for task in (docker.tasks(stack, up_to_date=False) if ours else [])
    )


def is_gone(unit: Unit, service: Json | None, tasks_left: Iterable[tasks.Task]) -> bool:
    """Whether a removed service and its tasks are no more."""
    return service is None and not any(task["ServiceID"] == unit.service_id for task in tasks_left)


def follow(unit: Unit, service: Json | None, found: Iterable[tasks.Task], names: spec.Names) -> None:
    """Put the verdict of this moment into `unit.verdict`. Raises ConflictError when somebody else wrote the service."""
    now = time.monotonic()
    if service is None or service["ID"] != unit.service_id:
        raise ConflictError(f"{unit.name} was removed by somebody else during this release")
    stopped = str((service.get("UpdateStatus") or {}).get("State", "")).startswith("rollback")
    if unit.written and service["Spec"] != unit.spec_seen and not stopped:
        changes = spec.diff(service["Spec"], unit.spec_seen or {}, names)
        if changes:
            raise ConflictError(f"{unit.name} was changed by somebody else during this release ({', '.join(changes)})")
        unit.spec_seen = service["Spec"]
    own = [task for task in found if task["ServiceID"] == unit.service_id]
    unit.pending = {task["ID"]: unit.pending.get(task["ID"], now) for task in own if tasks.is_pending(task)}
    waits = {task_id: now - since for task_id, since in unit.pending.items()}
    first = unit.stage == "canary"
    verdict = tasks.judge(service, own, before=unit.before, pending=waits, written=unit.written, canary=first)
    if verdict.ids != unit.verdict.ids or verdict.state != "healthy" or not unit.steady:
        unit.steady, unit.asked = now, None
    unit.verdict = verdict


def answers(unit: Unit, job: Mapping[str, Any], pool: Executor) -> str | None:
    """Ask the unit's checks in the background. Out: None when all hold, else what is still missing."""
    if not unit.answers:
        return None
    if unit.asked is None:
        unit.asked = [pool.submit(run_check, check, job.get("edge_host") or "127.0.0.1") for check in unit.answers]
    if not all(future.done() for future in unit.asked):
        names = ", ".join(check["name"] for check in unit.answers)
        return unit.detail if unit.detail.startswith("check ") else f"asking {names}"
    wrong = [future.result() for future in unit.asked if not future.result()["ok"]]
    if not wrong:
        return None
    unit.asked = None  # ask again
    return harmless(f"check {wrong[0]['name']}: {wrong[0]['detail']}")
