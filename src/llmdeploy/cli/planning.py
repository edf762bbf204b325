"""What a deploy would find and do: hosts, cluster, images, edge and services, without Ansible and without a change."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from llmdeploy.cli.connection import Connection
from llmdeploy.cluster import live
from llmdeploy.cluster.look import look as look_at
from llmdeploy.engine import host_images, host_todo
from llmdeploy.engine.api import Docker
from llmdeploy.engine.compare import Comparison, RefusedError, compare
from llmdeploy.errors import LlmdeployError, UnreachableError
from llmdeploy.render.variables import probes

if TYPE_CHECKING:
    from llmdeploy.render.rundir import RunDirectory

NOT_MADE = "(made by the deploy)"
PATIENCE = 20.0  # seconds for one host


@dataclass(frozen=True)
class Plan:
    """`data` is for the view and `--json`; `comparison` is None where there is no cluster yet."""

    data: dict[str, Any]
    todo: dict[str, Any]
    comparison: Comparison | None
    pins: dict[str, str]

    @property
    def nothing(self) -> bool:
        """Whether a deploy would change nothing at all."""
        return not self.data["changes"]


def look(
    connection: Connection, rendered: RunDirectory, *, timeout: float = PATIENCE
) -> tuple[host_todo.Site, list[dict[str, Any]]]:
    """Reads all hosts. Out: what is known, and a problem for each host that could not be read."""
    variables, hosts = rendered.variables, rendered.hosts
    images = [image["ref"] for image in variables["llmdeploy_images"]]
    network = variables["llmdeploy_network"]["name"]
    wanted = {
        name: {"ports": own["llmdeploy_ports"], "images": images, "network": network} for name, own in hosts.items()
    }
    found = look_at(list(connection.accesses.values()), wanted, timeout=timeout)
    checksums = {arch: hashlib.sha256(path.read_bytes()).hexdigest() for arch, path in probes().items()}
    facts = {name: one for name, one in found.items() if not isinstance(one, LlmdeployError)}
    away = [_away(name, one) for name, one in found.items() if isinstance(one, LlmdeployError)]
    return host_todo.Site(facts, hosts, variables, checksums), away


def examine(
    connection: Connection, rendered: RunDirectory, *, timeout: float
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What `doctor` tells: a row for each host that answers, and all problems, also of those that do not."""
    site, away = look(connection, rendered, timeout=timeout)
    if not site.facts:
        return [], away
    complete = len(site.facts) == len(connection.accesses)
    problems = host_todo.decide(site)["problems"] if complete else host_todo.host_problems(site)
    return _hosts(connection, site, []), [*away, *problems]


def make_plan(connection: Connection, rendered: RunDirectory, job: Mapping[str, Any]) -> Plan:
    """The plan for `job`. Raises UnreachableError when a host cannot be read."""
    site, away = look(connection, rendered)
    if away:
        raise _unreachable(away)
    todo = host_todo.decide(site)
    with _cluster_of(connection, site) as docker:
        settle_registry_images(docker, site, todo["images"])
        made = todo["images"]["pins"]
        pins = {entry["image"]: made.get(entry["image"], NOT_MADE) for entry in job["services"].values()}
        comparison = _compare(docker, job, pins)
    problems = list(todo["problems"])
    if isinstance(comparison, RefusedError):
        problems.append(_problem(todo["manager"], "services", str(comparison)))
        comparison = None
    services = _services(job, comparison)
    steps = host_todo.summary(todo)
    data = {
        "environment": connection.env.name,
        "hosts": _hosts(connection, site, steps),
        "steps": steps,
        "services": services,
        "orphans": comparison.orphans if comparison else [],
        "problems": problems,
        "changes": bool(steps) or any(row["action"] != "unchanged" for row in services),
    }
    return Plan(data, todo, comparison, pins)


@contextmanager
def _cluster_of(connection: Connection, site: host_todo.Site) -> Iterator[Docker | None]:
    """Docker on the host that has the cluster, None where there is none yet."""
    if not site.base:
        yield None
        return
    with live.manager([connection.accesses[site.base], *connection.managers]) as docker:
        yield docker


def _compare(docker: Docker | None, job: Mapping[str, Any], pins: dict[str, str]) -> Comparison | RefusedError | None:
    if docker is None or job["network"] not in docker.ids()["networks"]:
        return None  # nothing of ours can be there yet
    try:
        return compare(docker, job, pins)
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


def _hosts(connection: Connection, site: host_todo.Site, steps: list[str]) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "address": connection.accesses[name].address,
            "state": f"Docker {facts['docker']['version']}" if facts["docker"]["running"] else "no Docker",
            "system": facts["system"]["name"],
            "todo": [step.removeprefix(f"{name}: ") for step in steps if step.startswith(f"{name}: ")],
        }
        for name, facts in site.facts.items()
    ]


def _problem(host: str, check: str, message: str, hint: str = "") -> dict[str, Any]:
    return {"host": host, "check": check, "level": "error", "message": message, "hint": hint}


def _away(host: str, error: LlmdeployError) -> dict[str, Any]:
    check = "reachable" if isinstance(error, UnreachableError) else "readable"
    return _problem(host, check, error.message.removeprefix(f"{host}: "), error.hint)


def _unreachable(problems: list[dict[str, Any]]) -> LlmdeployError:
    kind = UnreachableError if any(problem["check"] == "reachable" for problem in problems) else LlmdeployError
    lines = [f"{problem['host']}: {problem['message']}" for problem in problems]
    if len(lines) > 1:
        lines = [f"{len(lines)} hosts cannot be used; nothing was changed:", *(f"  {line}" for line in lines)]
    hints = dict.fromkeys(problem["hint"] for problem in problems if problem["hint"])
    return kind("\n".join(lines), hint="; ".join(hints), details={"problems": problems, "exit": int(kind.exit_code)})
