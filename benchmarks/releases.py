"""What a rollback of ten services and an update of one of them take, beside what these take by themselves."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from benchmarks.figures import ROLLBACK, SLOWEST, UPDATE, Figures, overhead
from benchmarks.stage import ENVIRONMENT, Stage
from benchmarks.timing import FailedRunError, Sample, timed
from benchmarks.traffic import versions
from benchmarks.ways import parts_of_release

EDGE = "edge"
ONE = ("gateway", "tail-go", "model-proxy")
CALM = 15.0  # seconds after a release: what was replaced has ended then
ENDED = 40.0
OVER = ("shutdown", "complete", "failed", "remove", "orphaned")


@dataclass(frozen=True)
class Life:
    """A task: when it was created, when it was healthy, when it had ended (by the clock on the wall)."""

    service: str
    created: float
    healthy: float | None
    ended: float | None


def lives(stage: Stage) -> list[Life]:
    """Return every task that Docker still knows."""
    names = {one["ID"]: one["Spec"]["Name"] for one in stage.services()}
    idents = stage.manager.docker(["service", "ps", "--quiet", "--no-trunc", *names.values()]).stdout.split()
    tasks = json.loads(stage.manager.docker(["inspect", "--type", "task", *idents]).stdout)
    return [life(names[task["ServiceID"]], task) for task in tasks]


def life(service: str, task: Mapping[str, Any]) -> Life:
    """Read Docker's description of a task. Swarm calls one "running" once it is healthy."""
    state, at = task["Status"]["State"], _moment(task["Status"]["Timestamp"])
    created = _moment(task["CreatedAt"])
    return Life(service, created, at if state == "running" else None, at if state in OVER else None)


def _moment(text: str) -> float:
    """Read Docker's time stamp, which has nanoseconds, or none."""
    seconds, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{seconds}+00:00").timestamp() + float(f"0.{fraction or 0}")


def own(found: Sequence[Life], since: float) -> dict[str, float]:
    """Return how long each service's new tasks took to be healthy: the slowest one of each that began since then."""
    starts: dict[str, float] = {}
    for one in found:
        if one.created >= since and one.healthy is not None:
            starts[one.service] = max(starts.get(one.service, 0.0), one.healthy - one.created)
    return starts


def parts_of_update(found: Sequence[Life], name: str, since: float) -> dict[str, float]:
    """Return what one service took by itself since then: the start of the new task, then the drain of the old one."""
    mine = [one for one in found if one.service == name]
    created = min(one.created for one in mine if one.created >= since)
    healthy = max(one.healthy for one in mine if one.created >= since and one.healthy is not None)
    ended = max((one.ended for one in mine if one.ended is not None and one.ended >= since), default=healthy)
    return {"own start": healthy - created, "own drain": max(0.0, ended - healthy)}


# --- the rollback of ten


def rollback(stage: Stage, figures: Figures, runs: int) -> None:
    """Measure the way back of all ten services by llmdeploy, and by `docker service rollback` of each in turn."""
    ten = _default(stage)
    for number in range(runs):
        ways: list[tuple[str, Callable[[], Sample]]] = [
            ("ours", lambda: stage.llmdeploy("rollback", "--yes", "--plain")),
            ("docker service rollback, one by one", lambda: _by_hand(stage, ten)),
        ]
        for way, run in ways[:: 1 if number % 2 == 0 else -1]:
            mark = f"{int(time.time()) % 100000}"
            for version in ("old", "new"):
                stage.llmdeploy("update", "--yes", "--plain", *versions(ten, f"{version}-{mark}"))
                time.sleep(CALM)
            sample = run()
            _all_run(stage, ten, f"old-{mark}")
            split = parts_of_release(stage, sample) if way == "ours" else {}
            figures.add(ROLLBACK, way, replace(sample, parts={**_starts(stage, sample), **split}))
            time.sleep(CALM)


def _by_hand(stage: Stage, services: Sequence[str]) -> Sample:
    loop = f"for name in {' '.join(services)}; do docker service rollback --quiet $name || exit 1; done"
    return timed([*stage.manager.ssh_command(), loop])


def _starts(stage: Stage, sample: Sample) -> dict[str, float]:
    starts = own(lives(stage), sample.began)
    return {SLOWEST: max(starts.values()), **{f"  {name}": starts[name] for name in sorted(starts)}}


def _all_run(stage: Stage, services: Sequence[str], version: str) -> None:
    """Refuse a figure of a way that has not brought every service to this version."""
    wrong = [
        one["Spec"]["Name"]
        for one in stage.services()
        if one["Spec"]["Name"] in services
        and f"DEMO_VERSION={version}" not in one["Spec"]["TaskTemplate"]["ContainerSpec"]["Env"]
    ]
    if wrong:
        raise FailedRunError(f"not on version {version}: {', '.join(wrong)}")
    stage.chat()


# --- the update of one


def update(stage: Stage, figures: Figures, runs: int) -> None:
    """Measure the update of one service of ten."""
    _default(stage)
    for number in range(runs):
        for name in ONE:
            change = versions([name], f"one-{int(time.time()) % 100000}-{number}")
            sample = stage.llmdeploy("update", name, "--yes", "--plain", *change)
            parts = parts_of_update(_settled(stage, name), name, sample.began)
            parts["overhead"] = overhead(sample.seconds, parts)
            figures.add(UPDATE, name, replace(sample, parts={**parts, **parts_of_release(stage, sample)}))
            time.sleep(CALM)


def _settled(stage: Stage, name: str) -> list[Life]:
    """Return all tasks as soon as the ones that were replaced have ended."""
    until = time.monotonic() + ENDED
    while True:
        found = lives(stage)
        running = [one for one in found if one.service == name and one.ended is None]
        if len(running) == 1:
            return found
        if time.monotonic() > until:
            raise FailedRunError(f"{name}: {len(running)} tasks are left")
        time.sleep(0.5)


def _default(stage: Stage) -> list[str]:
    """Bring up the catalogue as it is. Out: the ten services' names."""
    (stage.project / "environments" / f"{ENVIRONMENT}.yml").write_text("")
    stage.llmdeploy("deploy", "--yes", "--plain")
    stage.chat()
    time.sleep(CALM)
    specs = [one["Spec"] for one in stage.services()]
    return sorted(one["Name"] for one in specs if one["Name"] != EDGE and not one["Labels"].get("llmdeploy.kind"))
