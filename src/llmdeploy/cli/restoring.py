"""A release out of the ledger is applied: rollback, scale and abort. No settings, no registry, few tasks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from llmdeploy.cli.ending import ended, unchanged
from llmdeploy.cli.locking import take
from llmdeploy.cli.planning import fingerprints, removals
from llmdeploy.cli.running import run_playbook
from llmdeploy.cli.scene import Scene
from llmdeploy.cli.session import Outcome, Session
from llmdeploy.cluster.verify import verify
from llmdeploy.engine import ledger
from llmdeploy.engine.compare import RefusedError, compare
from llmdeploy.errors import LlmdeployError
from llmdeploy.events import Note
from llmdeploy.release.job import Job
from llmdeploy.release.manifest import checks
from llmdeploy.render.manifest import Deliveries, render_manifest


@dataclass(frozen=True)
class Restoration:
    """A job made of a manifest, what it would change (`data`, a plan for the view), and the images it needs."""

    job: Job
    pins: Mapping[str, str]
    data: dict[str, Any]
    deliveries: Deliveries

    @property
    def nothing(self) -> bool:
        """Whether it would change nothing at all."""
        return not self.data["changes"]


def prepare(scene: Scene, job: Job, pins: Mapping[str, str], *, remove: bool) -> Restoration:
    """Compares `job` with the cluster; with `remove`, services of ours that are not in it go.

    Raises LlmdeployError with what stands in its way.
    """
    before = scene.docker.services()
    try:
        found = compare(scene.docker, job, pins)
    except RefusedError as error:
        raise LlmdeployError(f"this cannot be done as it is; nothing was changed: {error}") from error
    gone = found.orphans if remove else []
    job = {**job, "remove": gone, "seen": fingerprints(before, [*job["services"], *gone])}
    rows = [
        {"name": unit.name, "wave": unit.wave, "action": unit.action, "changes": unit.changes if unit.live else []}
        for unit in found.units.values()
    ]
    rows += removals(gone, rows)
    touched = {row["name"]: job["services"][row["name"]] for row in rows if row["action"] in ("create", "change")}
    deliveries, lost = scene.deliveries(touched, pins)
    now = ledger.position(scene.labels)
    data = {
        "environment": scene.environment,
        "action": job["action"],
        "from": scene.standing,
        "to": job["target"],
        "hosts": [_row(scene, host, len(ids)) for host, ids in deliveries.lacking.items()],
        "steps": [f"{host}: {_copies(len(ids))}" for host, ids in deliveries.lacking.items()],
        "services": rows,
        "orphans": [] if remove else found.orphans,
        "problems": [*scene.absences(job["services"]), *_lost(scene.manager, lost)],
        "changes": not now.settled or any(row["action"] != "unchanged" for row in rows),
    }
    return Restoration(job, pins, data, deliveries)


def carry_out(session: Session, scene: Scene, plan: Restoration, *, on_interrupt: str, note: str = "") -> Outcome:
    """Runs rollback.yml with what has been prepared."""
    connection = scene.connection
    hosts = [host for host in connection.outline.inventory.hosts if host.name in connection.accesses]
    files = render_manifest(
        connection.path,
        plan.job,
        plan.pins,
        hosts,
        connection.reach(),
        manager=scene.manager,
        deliveries=plan.deliveries,
    )
    notes = [Note("warning", f"{one['host']} {one['message']}") for one in plan.data["problems"]]
    notes += [Note("info", note)] if note else []
    hold = take(session, scene.docker, plan.job)
    try:
        outcome, told = run_playbook(
            session,
            connection,
            files,
            plan.job,
            playbook="rollback.yml",
            on_interrupt=on_interrupt,
            hold=hold,
            notes=notes,
        )
    finally:
        hold.end()
    return ended(session, connection, plan.job, outcome, told)


def untouched(scene: Scene, plan: Restoration) -> Outcome:
    """Nothing differs: only ask whether it works. Raises UnhealthyError where it does not."""
    results = verify(scene.connection.managers[0], checks(plan.job))
    return unchanged(plan.job, plan.data["services"], results)


def _row(scene: Scene, host: str, images: int) -> dict[str, Any]:
    address = scene.connection.accesses[host].address
    return {"name": host, "address": address, "state": "", "todo": [_copies(images)]}


def _copies(images: int) -> str:
    return f"is given {images} image{'s' if images > 1 else ''} from another host"


def _lost(manager: str, services: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "host": manager,
            "check": "images",
            "level": "warning",
            "message": f"no host has the image of {name} any more: it cannot start",
            "hint": "",
        }
        for name in services
    ]
