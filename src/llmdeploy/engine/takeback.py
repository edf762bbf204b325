"""Taking a failed release back: everything it touched returns to the release the stack was on, in reverse order."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

from .api import Docker, DockerError, Json
from .compare import RefusedError, Unit, compare, owner
from .ledger import Position
from .lock import LostError
from .progress import Progress
from .release import Release
from .watch import release_of


@dataclass
class TakenBack:
    """What became of it; `to_json` is the `taken_back` of the progress line `end`."""

    to: int
    services: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    stuck: list[dict[str, str]] = field(default_factory=list)
    wrong: str = ""  # what keeps it from being verified, beyond the stuck services
    seconds: float = 0.0

    @property
    def verified(self) -> bool:
        """Whether everything is back, healthy and verified."""
        return not self.stuck and not self.wrong

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "to": self.to,
            "verified": self.verified,
            "services": self.services,
            "removed": self.removed,
            "stuck": self.stuck,
            "seconds": self.seconds,
        }

    def summary(self, environment: str) -> str:
        """In words, with what to do where something is stuck."""
        moved = ", ".join([*self.services, *(f"{name} (removed again)" for name in self.removed)])
        if self.verified:
            return f"taken back to release {self.to} and verified: {moved}" if moved else "nothing had been changed"
        stuck = "; ".join(f"{one['service']} runs {one['runs']} ({one['reason']})" for one in self.stuck)
        told = f"taking back to release {self.to} failed: {stuck or self.wrong}"
        return f"{told}; next: llmdeploy {environment} rollback {self.to}"


def touched(job: Mapping[str, Any], services: Collection[Json], where: Position) -> set[str]:
    """Our services that a release newer than where the stack stood has written."""
    ours = [item for item in services if owner(item) == job["stack"]]
    return {item["Spec"]["Name"] for item in ours if int(release_of(item) or 0) > where.source}


def way_back(job: Mapping[str, Any], manifest: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    """The job that takes `names` back to what `manifest` says: dependants first, what was not there is removed."""
    old = manifest["job"]
    mine = {name: entry for name, entry in old["services"].items() if name in names}
    last = max((int(entry.get("wave", 1)) for entry in mine.values()), default=1)
    services = {
        name: {
            **entry,
            "wave": last - int(entry.get("wave", 1)) + 1,
            "depends_on": [other for other in mine if name in (mine[other].get("depends_on") or [])],
        }
        for name, entry in mine.items()
    }
    gone = sorted(set(names) - set(services))
    changed = {"id": job["id"], "services": services, "remove": gone, "on_failure": "go-on", "pace": "waves"}
    return {**old, **changed, "seen": {}, "canary": False, "edge": {**(old.get("edge") or {}), "force": False}}


def take_back(
    docker: Docker,
    job: Mapping[str, Any],
    pins: Mapping[str, str],
    where: Position,
    progress: Progress,
    pool: Executor,
    beat: Callable[[], None],
) -> TakenBack:
    """Carry out the way back. Writes a `release` line of state taking-back first."""
    began, result = time.monotonic(), TakenBack(where.number)
    try:
        found = compare(docker, job, pins)
        release = Release(docker, job, found, progress, pool, number=where.source, back=True, beat=beat)
        release.announce(state="taking-back", to=where.number, orphans=[])
        verdict, said = release.run()
    except LostError:
        raise
    except (RefusedError, DockerError) as problem:
        result.wrong = str(problem)
        return result
    changed = release.outcome()["changed"]
    result.removed = [name for name in changed if release.units[name].remove]
    result.services = [name for name in changed if not release.units[name].remove]
    result.stuck = [_stuck(docker, unit, where) for unit in release.units.values() if unit.state == "failed"]
    result.wrong = "" if verdict in ("done", "unchanged") or result.stuck else said
    result.seconds = round(time.monotonic() - began, 2)
    return result


def _stuck(docker: Docker, unit: Unit, where: Position) -> dict[str, str]:
    try:
        live = docker.service(unit.name)
    except DockerError:
        runs = "nothing"
    else:
        image = live["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"]
        runs = f"release {release_of(live) or '?'}, image {image[:24]}"
    return {"service": unit.name, "runs": runs, "wanted": f"release {where.number}", "reason": unit.detail}
