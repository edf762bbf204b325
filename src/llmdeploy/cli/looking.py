"""Reads every host, and what there is to say of each."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from llmdeploy.cli.connection import Connection
from llmdeploy.cluster.look import look as look_at
from llmdeploy.engine import host_todo
from llmdeploy.errors import LlmdeployError, UnreachableError
from llmdeploy.render.variables import probes

if TYPE_CHECKING:
    from llmdeploy.render.rundir import RunDirectory

PATIENCE = 20.0  # seconds for one host


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
    return host_rows(connection, site, []), [*away, *problems]


def host_rows(connection: Connection, site: host_todo.Site, steps: list[str]) -> list[dict[str, Any]]:
    """A row for each host that was read, with its part of `steps`."""
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


def problem(host: str, check: str, message: str, hint: str = "") -> dict[str, Any]:
    """One thing that stands in the way on a host."""
    return {"host": host, "check": check, "level": "error", "message": message, "hint": hint}


def _away(host: str, error: LlmdeployError) -> dict[str, Any]:
    check = "reachable" if isinstance(error, UnreachableError) else "readable"
    return problem(host, check, error.message.removeprefix(f"{host}: "), error.hint)


def unreachable(problems: list[dict[str, Any]]) -> LlmdeployError:
    """The error for hosts that cannot be read."""
    kind = UnreachableError if any(problem["check"] == "reachable" for problem in problems) else LlmdeployError
    lines = [f"{problem['host']}: {problem['message']}" for problem in problems]
    if len(lines) > 1:
        lines = [f"{len(lines)} hosts cannot be used; nothing was changed:", *(f"  {line}" for line in lines)]
    hints = dict.fromkeys(problem["hint"] for problem in problems if problem["hint"])
    return kind("\n".join(lines), hint="; ".join(hints), details={"problems": problems, "exit": int(kind.exit_code)})
