"""What prune finds, asks and does."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from llmdeploy.cli.locking import take
from llmdeploy.cli.making import new_id, who
from llmdeploy.cli.running import run_playbook
from llmdeploy.cli.scene import Scene
from llmdeploy.cli.session import Outcome, Session
from llmdeploy.cluster.leftovers import leftovers
from llmdeploy.engine import prune
from llmdeploy.engine.api import DockerError
from llmdeploy.errors import Exit, LlmdeployError
from llmdeploy.release.job import Job
from llmdeploy.render.rundir import RunDirectory, write_run
from llmdeploy.view.upkeep import size as size_in_words
from llmdeploy.view.words import count

DEADLINE = 600.0  # seconds, beside what every run may take
Data = dict[str, Any]


def find(scene: Scene) -> Data:
    """What would go: `hosts` (see `_row`), `configs` and `secrets` by name; `changes`: whether that is anything."""
    try:
        found = prune.read(scene.docker, scene.stack)
    except DockerError as problem:
        raise LlmdeployError(f"nothing can be removed: {problem}") from problem
    images = leftovers(list(scene.connection.accesses.values()), found["needed"])
    rows = [
        _row(name, problem=one.message) if isinstance(one, LlmdeployError) else _row(name, one)
        for name, one in {**images, **scene.away}.items()
    ]
    names = {kind: [one["Name"] for one in found[kind]] for kind in ("configs", "secrets")}
    changes = any(names.values()) or any(row["images"] for row in rows)
    return {"environment": scene.environment, "stack": scene.stack, "hosts": rows, **names,
            "changes": changes, "removed": False}  # fmt: skip


def question(found: Mapping[str, Any]) -> str:
    """What a person is asked."""
    images = sum(len(row["images"]) for row in found["hosts"])
    size = size_in_words(sum(row["bytes"] for row in found["hosts"]))
    parts = [f"{count(images, 'image')} (at most {size})"] if images else []
    parts += [f"{count(len(found['configs']), 'configuration')} of the edge"] if found["configs"] else []
    parts += [count(len(found["secrets"]), "secret")] if found["secrets"] else []
    *others, last = parts
    return f"Remove {' and '.join([', '.join(others), last] if others else [last])}?"


def carry_out(session: Session, scene: Scene, found: Data, message: str, wait: float) -> Outcome:
    """Runs prune.yml under the lock. Out: what is gone; the room is measured on each host's disk."""
    job: Job = {
        "id": new_id(),
        "stack": scene.stack,
        "environment": scene.environment,
        "action": "prune",
        "by": asdict(who(scene.connection.outline.project.root, message)),
        "deadline": DEADLINE,
    }
    files = _files(scene, job)
    hold = take(session, scene.docker, job, wait)
    try:
        outcome, _ = run_playbook(
            session, scene.connection, files, job, playbook="prune.yml", on_interrupt="abort", hold=hold
        )
    finally:
        hold.end()
    report = _report(files.path)
    gone = {name: _row(name, one.get("removed") or [], one.get("bytes", 0)) for name, one in report["hosts"].items()}
    rows = [gone.get(row["host"]) or _row(row["host"], problem=row["problem"] or "see above") for row in found["hosts"]]
    data = {
        **found,
        "hosts": rows,
        "configs": report["configs"],
        "secrets": report["secrets"],
        "removed": True,
        "log": str(outcome.log_path or ""),
    }
    away = [{"message": f"{row['host']}: {row['problem']}", "hint": ""} for row in rows if row["problem"]]
    if outcome.exit_hint != Exit.DONE:
        return Outcome("prune", data, outcome.exit_hint, [{"message": outcome.message, "hint": ""}])
    return Outcome("prune", data, Exit.UNREACHABLE if away else Exit.DONE, away)


def _row(host: str, images: list[Data] | None = None, size: int | None = None, problem: str = "") -> Data:
    """`images`, each with `id`, `names`, `size`; `bytes`: of all together at most, because images share parts, or
    `size`; `problem`: why the host could not be used."""
    images = images or []
    most = sum(image["size"] for image in images)
    return {"host": host, "images": images, "bytes": most if size is None else size, "problem": problem}


def _files(scene: Scene, job: Job) -> RunDirectory:
    connection, reach = scene.connection, scene.connection.reach()
    hosts = {
        host.name: {
            **host.variables,
            "ansible_become": reach[host.name].become,
            "llmdeploy_ssh": list(reach[host.name].ssh),
        }
        for host in connection.outline.inventory.hosts
        if host.name in connection.accesses
    }
    inventory = {"all": {"hosts": hosts, "children": {"llmdeploy_manager": {"hosts": {scene.manager: {}}}}}}
    values = {
        "llmdeploy_stack": scene.stack,
        "tidy_job": job["id"],
        "tidy_must": True,
        "tidy_report": str(connection.path / "tidy.json"),
    }
    return write_run(connection.path, job, inventory, values)


def _report(folder: Path) -> Data:
    """What the role tidy has written; nothing where it did not get so far."""
    try:
        found: Data = json.loads((folder / "tidy.json").read_text(encoding="utf-8"))
    except OSError:
        return {"configs": [], "secrets": [], "hosts": {}}
    return found
