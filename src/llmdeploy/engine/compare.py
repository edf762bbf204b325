"""Wanted against live: what a job would change. Reads the cluster, writes nothing."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Collection, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from . import edgejob, schedule, spec, tasks
from .api import ConflictError, Docker, Json

EDGE = "edge"  # the service through which published ports are asked
CANARY = 10.0  # seconds
REMOVED_WITHIN = 120.0


class RefusedError(Exception):
    """The job cannot be carried out as it is; nothing has been written."""


@dataclass
class Unit:
    """One service of a release: what is wanted, what was found, and how far it has come."""

    name: str
    wave: int
    wanted: spec.Spec
    stability: float
    deadline: float
    answers: list[Json]
    canary: float = 0.0  # seconds its first replica is watched before the others follow; 0: no canary
    remove: bool = False
    live: Json | None = None  # as found by the comparison
    placed: str = ""  # the edge: which configuration its hosts were given last
    changes: list[str] = field(default_factory=list)
    stage: str = ""  # what is under way before the service as a whole: "configuration" (of the edge), "canary"
    state: str = "waiting"
    detail: str = ""
    verdict: tasks.Verdict = field(default_factory=lambda: tasks.Verdict("starting"))
    service_id: str = ""
    spec_seen: spec.Spec | None = None  # the daemon's form of what we wrote
    touched: bool = False  # whether this release changed anything about it
    foreign: bool = False  # whether somebody else changed it meanwhile
    began: float = 0.0
    ended: float = 0.0
    steady: float = 0.0  # since when the same tasks have been healthy
    before: frozenset[str] = frozenset()
    pending: dict[str, float] = field(default_factory=dict)  # task id → since when it waits for a node
    asked: list[Future[Json]] | None = None

    @property
    def action(self) -> str:
        """create, change, unchanged or remove."""
        if self.remove:
            return "remove"
        return "create" if self.live is None else "change" if self.changes else "unchanged"

    @property
    def written(self) -> bool:
        """Whether this release wrote the service's specification."""
        return self.spec_seen is not None

    def elapsed(self) -> float:
        """Seconds since its start."""
        return round(time.monotonic() - self.began, 2) if self.began else 0.0


@dataclass(frozen=True)
class Comparison:
    """All units by name in the order of their waves, their dependencies, and services of ours nobody wants."""

    units: dict[str, Unit]
    depends: dict[str, list[str]]
    orphans: list[str]
    ids: dict[str, dict[str, str]]

    @property
    def changed(self) -> list[str]:
        """The names of the services that differ."""
        return [unit.name for unit in self.units.values() if unit.action != "unchanged"]


def compare(
    docker: Docker,
    job: Mapping[str, Any],
    pins: Mapping[str, str],
    brought: Mapping[str, Collection[str]] | None = None,
) -> Comparison:
    """Compare the job with the cluster. `brought`: `secrets` and `configs` that are placed before the release begins.

    Raises RefusedError with everything that stands in its way, and ConflictError when a service is not any more what
    it was when the plan was shown.
    """
    live, ids = {item["Spec"]["Name"]: item for item in docker.services()}, docker.ids()
    for kind, names in (brought or {}).items():
        ids[kind] |= {name: ids[kind].get(name, "") for name in names}
    _refuse_strangers_changes(job, live)
    depends = {name: list(entry.get("depends_on") or []) for name, entry in job["services"].items()}
    problems = [text for text in [schedule.problem(depends)] if text]
    units: dict[str, Unit] = {}
    for name, entry in sorted(job["services"].items(), key=lambda item: (item[1].get("wave", 1), item[0])):
        if entry["image"] not in pins:
            problems.append(f"{name}: nobody has pinned the image {entry['image']}")
            continue
        wanted = spec.wanted(name, entry, pins[entry["image"]], job["stack"], docker.api_version)
        unit = _unit(name, entry, wanted, canary=bool(job.get("canary")))
        unit.live = live.get(name)
        unit.placed = edgejob.placed(live, job["stack"]) if name == EDGE else ""
        problems += _problems(unit, job["stack"], ids)
        unit.changes = _changes(unit, job, {value: key for key, value in ids["networks"].items()})
        units[name] = unit
    if problems:
        raise RefusedError("; ".join(problems))
    ours = sorted(name for name, item in live.items() if owner(item) == job["stack"] and not _helper(item))
    if job.get("pace") == "at-once":
        depends = {name: [] for name in depends}
    _add_removals(job, units, depends, {name: live[name] for name in ours})
    return Comparison(units, depends, [name for name in ours if name not in units], ids)


def _refuse_strangers_changes(job: Mapping[str, Any], live: Mapping[str, Json]) -> None:
    other = sorted(name for name, seen in (job.get("seen") or {}).items() if fingerprint(live.get(name)) != seen)
    if other:
        raise ConflictError(f"changed by somebody else since the plan was made: {', '.join(other)}")


def _add_removals(
    job: Mapping[str, Any], units: dict[str, Unit], depends: dict[str, list[str]], ours: Mapping[str, Json]
) -> None:
    """Units for the services that go: after everything else, all at once."""
    others, wave = list(units), max((unit.wave for unit in units.values()), default=0) + 1
    for name in sorted(set(job.get("remove") or []) & set(ours) - set(units)):
        entry = {"wave": wave, "deadline": REMOVED_WITHIN, "stability": 0.0}
        units[name] = _unit(name, entry, ours[name]["Spec"], canary=False)
        units[name].remove, units[name].live, units[name].service_id = True, ours[name], ours[name]["ID"]
        depends[name] = list(others)


def fingerprint(service: Json | None) -> str:
    """A short hash of all that makes a live service's specification; empty for one that is not there.

    Docker's own bookkeeping (version, dates) and a forced restart do not change it.
    """
    if service is None:
        return ""
    table = json.dumps(spec.fields(service["Spec"], {}), sort_keys=True, default=str)
    return hashlib.sha256(table.encode()).hexdigest()[:12]


def owner(service: Json) -> str | None:
    """The stack a live service belongs to, None for somebody else's."""
    label: str | None = (service["Spec"].get("Labels") or {}).get(spec.STACK_LABEL)
    return label


def _helper(service: Json) -> bool:
    return (service["Spec"].get("Labels") or {}).get(spec.KIND_LABEL) == "helper"


def _unit(name: str, entry: Mapping[str, Any], wanted: spec.Spec, *, canary: bool) -> Unit:
    several = canary and spec.mode(wanted) == "Replicated" and spec.replicas(wanted) > 1
    return Unit(
        name=name,
        wave=int(entry.get("wave", 1)),
        wanted=wanted,
        stability=float(entry.get("stability", 2.0)),
        deadline=float(entry.get("deadline", 120.0)),
        answers=list(entry.get("answers") or []),
        canary=float(entry.get("canary") or CANARY) if several else 0.0,
    )


def _changes(unit: Unit, job: Mapping[str, Any], names: spec.Names) -> list[str]:
    found = spec.diff(unit.live["Spec"] if unit.live else None, unit.wanted, names)
    state = ((unit.live or {}).get("UpdateStatus") or {}).get("State")
    if not found and state in ("paused", "rollback_paused"):  # Docker goes on only after another write
        found.append("paused update resumed")
    if unit.name == EDGE and unit.live and new_configuration(unit, job):
        found = found or ["configuration put back on its hosts"]
    return found


def new_configuration(unit: Unit, job: Mapping[str, Any]) -> bool:
    """Whether the edge's hosts need another file before the service is written."""
    edge, new = job.get("edge") or {}, unit.wanted["Labels"].get(edgejob.LABEL)
    return bool(edge.get("config") and new) and (unit.placed != new or bool(edge.get("force")))


def _problems(unit: Unit, stack: str, ids: Mapping[str, Mapping[str, str]]) -> list[str]:
    found = [f"{unit.name}: the cluster has no {item}" for item in spec.missing(unit.wanted, ids)]
    if unit.live is None:
        return found
    if owner(unit.live) != stack:
        belongs = f"to the stack {owner(unit.live)}" if owner(unit.live) else "to somebody else"
        return [*found, f"a service named {unit.name} exists and belongs {belongs}: rename one of them or remove it"]
    old, new = spec.mode(unit.live["Spec"]), spec.mode(unit.wanted)
    if old != new:
        found.append(f"{unit.name}: Docker cannot make a {old.lower()} service {new.lower()}: remove it first")
    return found
