"""What a deploy would find and do: hosts, cluster, images, edge and services, without Ansible and without a change."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from llmdeploy.cli.connection import Connection
from llmdeploy.cli.looking import PATIENCE, examine, host_rows, look, problem, unreachable
from llmdeploy.cluster import live
from llmdeploy.cluster.drift import drift, edge_change
from llmdeploy.cluster.history import Entry, entries
from llmdeploy.engine import host_images, host_todo
from llmdeploy.engine.api import Docker
from llmdeploy.engine.compare import Comparison, RefusedError, compare, fingerprint
from llmdeploy.engine.ledger import position

if TYPE_CHECKING:
    from llmdeploy.render.rundir import RunDirectory

__all__ = ["PATIENCE", "Plan", "examine", "fingerprints", "look", "make_plan", "removals"]
NOT_MADE = "(made by the deploy)"


@dataclass(frozen=True)
class Plan:
    """`data` is for the view and `--json`; `comparison` is None where there is no cluster yet.

    seen      fingerprints of the services that the job is about, as they were when the plan was made
    releases  the labels of the stack's releases by number
    """

    data: dict[str, Any]
    todo: dict[str, Any]
    comparison: Comparison | None
    pins: dict[str, str]
    seen: dict[str, str] = field(default_factory=dict)
    releases: dict[int, dict[str, str]] = field(default_factory=dict)

    @property
    def nothing(self) -> bool:
        """Whether a run would change nothing at all, and the history says already where the stack is."""
        now = position(self.releases)
        return not self.data["changes"] and now.settled and bool(now.number)

    def removing(self, names: Iterable[str]) -> Plan:
        """The same plan with services of ours that go."""
        gone = sorted(names)
        if not gone:
            return self
        rows = [*self.data["services"], *removals(gone, self.data["services"])]
        left = [name for name in self.data["orphans"] if name not in gone]
        by_hand = [{**row, "then": "is removed"} if row["service"] in gone else row for row in self.data["drift"]]
        data = {**self.data, "services": rows, "orphans": left, "drift": by_hand, "changes": True}
        return replace(self, data=data)


def removals(names: Iterable[str], services: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The rows of services that are removed, after all others."""
    wave = max((row["wave"] for row in services), default=0) + 1
    return [{"name": name, "wave": wave, "action": "remove", "changes": []} for name in names]


def fingerprints(services: Iterable[Mapping[str, Any]], names: Iterable[str]) -> dict[str, str]:
    """What each service is now, short; empty for one that is not among Docker's `services`."""
    live = {item["Spec"]["Name"]: dict(item) for item in services}
    return {name: fingerprint(live.get(name)) for name in names}


def last_release(connection: Connection) -> Entry:
    """The release the stack is on. Raises LlmdeployError where there is none."""
    from llmdeploy.cli.scene import last_good

    with live.manager(connection.managers) as docker:
        found = entries(docker, connection.env.settings.stack) if docker else []
    return last_good(found, connection.name)


def make_plan(
    connection: Connection,
    rendered: RunDirectory,
    job: Mapping[str, Any],
    *,
    prepare: bool = True,
    edge_lines: bool = False,
) -> Plan:
    """The plan for `job`; without `prepare` nothing is done on hosts but delivering images.

    With `edge_lines` it tells which lines of the edge's configuration differ.

    Raises UnreachableError when a host cannot be read.
    """
    site, away = look(connection, rendered)
    if away:
        raise unreachable(away)
    todo = host_todo.decide(site)
    with _cluster_of(connection, site) as docker:
        settle_registry_images(docker, site, todo["images"])
        known = {**rendered.variables["llmdeploy_kept_pins"], **todo["images"]["pins"]}
        pins = {entry["image"]: known.get(entry["image"], NOT_MADE) for entry in job["services"].values()}
        book = entries(docker, job["stack"]) if docker else []
        releases = {one.number: one.labels for one in book}
        before = docker.services() if docker else []
        comparison = _compare(docker, job, pins, rendered)
        by_hand = drift(docker, before, book, job, pins) if docker else []
        edge = edge_change(docker, before, job, lines=edge_lines) if docker else {}
    problems = list(todo["problems"])
    if isinstance(comparison, RefusedError):
        problems.append(problem(todo["manager"], "services", str(comparison)))
        comparison = None
    services = _services(job, comparison)
    steps = host_todo.summary(todo)
    if not prepare:
        steps, left = _deliveries(todo), len(steps)
        problems += _left_alone(connection.name, todo["manager"], left - len(steps))
    orphans = comparison.orphans if comparison else []
    data = {
        "environment": connection.name,
        "hosts": host_rows(connection, site, steps),
        "steps": steps,
        "services": services,
        "orphans": orphans,
        "on": position(releases).number,
        "drift": by_hand,
        "edge": edge,
        "problems": problems,
        "changes": bool(steps) or any(row["action"] != "unchanged" for row in services),
    }
    return Plan(data, todo, comparison, pins, fingerprints(before, [*job["services"], *orphans]), releases)


def _deliveries(todo: Mapping[str, Any]) -> list[str]:
    """What an update does on hosts."""
    nothing = {"init": False, "join": {}, "promote": [], "label": [], "network": False, "autolock": ""}
    return host_todo.summary({**todo, "prepare": [], "cluster": nothing, "firewall": {}, "edge": []})


def _left_alone(environment: str, manager: str, count: int) -> list[dict[str, Any]]:
    if not count:
        return []
    hint = f"llmdeploy {environment} deploy does that too"
    many = "one step of preparing hosts is" if count == 1 else f"{count} steps of preparing hosts are"
    return [{**problem(manager, "hosts", f"{many} left out", hint), "level": "warning"}]


@contextmanager
def _cluster_of(connection: Connection, site: host_todo.Site) -> Iterator[Docker | None]:
    """Docker on the host that has the cluster, None where there is none yet."""
    if not site.base:
        yield None
        return
    with live.manager([connection.accesses[site.base], *connection.managers]) as docker:
        yield docker


def _compare(
    docker: Docker | None, job: Mapping[str, Any], pins: dict[str, str], rendered: RunDirectory
) -> Comparison | RefusedError | None:
    if docker is None or job["network"] not in docker.ids()["networks"]:
        return None  # nothing of ours can be there yet
    try:
        return compare(docker, job, pins, {"secrets": rendered.secrets, "configs": rendered.configs})
    except RefusedError as error:
        return error


def settle_registry_images(docker: Docker | None, site: host_todo.Site, images: dict[str, Any]) -> None:
    """Asks the registry (through the manager) where each tag points now; what is on its hosts already is settled."""
    for image in site.variables["llmdeploy_images"]:
        ref = image["ref"]
        if docker is None or image["kind"] != "registry" or ref not in images["make"]:
            continue
        digest = docker.registry_digest(ref)
        if not digest:
            continue
        pin = host_images.digest_pin(f"{ref}@{digest}")
        images["pins"][ref] = pin
        takers = [host for host in image["hosts"] if host_images.lacks(ref, pin, site.facts[host])]
        if not takers:
            images["make"].remove(ref)
            for refs in images["deliver"].values():
                refs[:] = [one for one in refs if one != ref]
    images["deliver"] = {host: refs for host, refs in images["deliver"].items() if refs}


def _services(job: Mapping[str, Any], comparison: Comparison | None) -> list[dict[str, Any]]:
    if comparison is None:
        rows = [
            {"name": name, "wave": one["wave"], "action": "create", "changes": []}
            for name, one in job["services"].items()
        ]
    else:
        rows = [
            {"name": unit.name, "wave": unit.wave, "action": unit.action, "changes": unit.changes if unit.live else []}
            for unit in comparison.units.values()
        ]
    return sorted(rows, key=lambda row: (row["wave"], row["name"]))
