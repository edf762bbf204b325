"""Replicas spread over hosts, which Docker's updates do not keep.

Docker puts a new replica where fewest replicas of its service are, and counts the old ones. So an update that starts
the new before it stops the old ends every other time with both replicas on one of two hosts. One replica more goes to
the emptiest host; with one less, Docker takes it from the fullest (swarmkit, orchestrator/replicated/services.go).
Nothing is missing in between, and no more runs at once than during the update itself.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field

from . import spec, tasks
from .api import ConflictError, Docker, DockerError, Json
from .compare import Unit
from .edgejob import takes_part
from .progress import Progress

NO_ROOM_AFTER = 3.0  # seconds without a place; where there is none, all stays as it is


@dataclass
class Move:
    """A service with `count` replicas to move from `node` (its id), the fullest one; `replicas` it shall have now."""

    unit: Unit
    count: int
    node: str
    replicas: int
    waits: dict[str, float] = field(default_factory=dict)  # task id → since when it waits for a place


def even_out(
    docker: Docker,
    stack: str,
    units: Collection[Unit],
    names: spec.Names,
    progress: Progress,
    *,
    wait: Callable[[], None],
    stop: Callable[[], bool],
) -> None:
    """Spread the replicas of these services, all at once. What cannot be moved stays; nothing of it is a failure.

    `names` maps network ids to names; `wait` lets a moment pass, `stop` tells that somebody asked to stop.
    """
    several = [unit for unit in units if _may_move(unit)]
    if not several:
        return
    try:
        moves = _crowded(several, docker.nodes(), docker.tasks(stack, up_to_date=True))
        begun = [move for move in moves if _scale(docker, move, move.count, names)]
        _settle(docker, stack, begun, wait, stop)
        done = [move for move in begun if _scale(docker, move, 0, names)]
        _settle(docker, stack, done, wait, lambda: False)
        if done:
            hosts, found = docker.hosts(), docker.tasks(stack, up_to_date=True)
            for move in done:
                progress.write("note", text=_told(move, hosts, found))
    except DockerError as problem:
        progress.write("note", level="warning", text=f"replicas were not spread over hosts: {problem}")


def to_move(counts: Mapping[str, int], nodes: Collection[str]) -> int:
    """How many replicas have to move until no two of `nodes` differ by more than one. `counts`: replicas per node."""
    here = [counts.get(node, 0) for node in nodes]
    if not here:
        return 0
    least, most = sum(here) // len(here), -(-sum(here) // len(here))
    return max(sum(max(0, count - most) for count in here), sum(max(0, least - count) for count in here))


def _may_move(unit: Unit) -> bool:
    """A service that must not run twice has no replica more for a moment either."""
    first = (unit.wanted.get("UpdateConfig") or {}).get("Order") == "start-first"
    return not unit.remove and first and spec.mode(unit.wanted) == "Replicated" and spec.replicas(unit.wanted) > 1


def _crowded(units: Collection[Unit], nodes: Collection[Json], found: Collection[tasks.Task]) -> list[Move]:
    moves = []
    for unit in units:
        constraints = (unit.wanted["TaskTemplate"].get("Placement") or {}).get("Constraints") or []
        counts = Counter(task["NodeID"] for task in _running(unit, found))
        count = to_move(counts, [node["ID"] for node in nodes if takes_part(node, constraints)])
        if count:
            moves.append(Move(unit, count, counts.most_common(1)[0][0], spec.replicas(unit.wanted)))
    return moves


def _running(unit: Unit, found: Collection[tasks.Task]) -> list[tasks.Task]:
    own = [task for task in found if task["ServiceID"] == unit.service_id and task["DesiredState"] == "running"]
    return [task for task in own if task["Status"]["State"] == "running"]


def _scale(docker: Docker, move: Move, extra: int, names: spec.Names) -> bool:
    """Write so many replicas more than wanted. Out: False where somebody else has changed the service."""
    live = docker.service(move.unit.service_id)
    if spec.diff(live["Spec"], _with(move.unit.wanted, move.replicas), names):
        return False
    move.replicas = spec.replicas(move.unit.wanted) + extra
    try:
        docker.update(live["ID"], live["Version"]["Index"], _with(live["Spec"], move.replicas))
    except ConflictError:
        return False
    return True


def _with(service: spec.Spec, replicas: int) -> spec.Spec:
    return {**service, "Mode": {"Replicated": {"Replicas": replicas}}}


def _settle(
    docker: Docker, stack: str, moves: Collection[Move], wait: Callable[[], None], stop: Callable[[], bool]
) -> None:
    """Wait until each has as many running replicas as it shall have, or cannot get them, or takes too long."""
    until = time.monotonic() + max((move.unit.deadline for move in moves), default=0.0)
    while moves and time.monotonic() < until and not stop():
        found = docker.tasks(stack, up_to_date=True)
        if all(_settled(move, found) for move in moves):
            return
        wait()


def _settled(move: Move, found: Collection[tasks.Task]) -> bool:
    now = time.monotonic()
    own = [task for task in found if task["ServiceID"] == move.unit.service_id and tasks.is_pending(task)]
    no_room = any(now - move.waits.setdefault(task["ID"], now) > NO_ROOM_AFTER for task in own)
    return no_room or len(_running(move.unit, found)) == move.replicas


def _told(move: Move, hosts: Mapping[str, str], found: Collection[tasks.Task]) -> str:
    counts = Counter(hosts.get(task["NodeID"], "") for task in _running(move.unit, found))
    where = ", ".join(f"{count} on {host}" for host, count in sorted(counts.items()))
    return f"{move.unit.name}: Docker had put too many replicas on {hosts.get(move.node, move.node)}; now {where}"
