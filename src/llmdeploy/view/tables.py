"""plan, status and verify as tables. Each function takes the `data` of its kind of result, as in `--json`."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from llmdeploy.view.grid import Data, Grid, Lines, problems
from llmdeploy.view.words import ACTION, LEVEL, OTHER, SERVICE, count, names, one_line, short_image

_ALRIGHT, _BROKEN, _BUSY = SERVICE["done"], SERVICE["failed"], SERVICE["starting"]
_NODE = {"ready": _ALRIGHT, "down": _BROKEN, "disconnected": _BROKEN}
_SERVICE = {"healthy": _ALRIGHT, "degraded": LEVEL["warning"], "failing": _BROKEN, "starting": _BUSY}


def plan(data: Data, unicode: bool) -> Lines:
    """`hosts: [{name, address, state, todo}]`, `services: [{name, wave, action, changes}]`, `problems`, `orphans`."""
    yield from _plan_hosts(data.get("hosts", []), unicode)
    yield from _plan_services(data.get("services", []), unicode)
    if data.get("orphans"):
        yield Text(f"not in the catalogue any more, left alone: {names(data['orphans'], 20)}", "yellow")
    yield from problems(data.get("problems", []), unicode)
    touched = [row for row in data.get("services", []) if row["action"] != "unchanged"]
    busy = [host for host in data.get("hosts", []) if host.get("todo")]
    if not touched and not busy and not data.get("changes"):
        yield Text("Nothing to change.", "bold")
        return
    yield Text(f"{count(len(touched), 'service')} and {count(len(busy), 'host')} to change (exit code 10).", "bold")


def _plan_hosts(hosts: Sequence[Data], unicode: bool) -> Lines:
    if not hosts:
        return
    grid = Grid("host", "address", "state", "to do", unicode=unicode)
    for host in hosts:
        todo = Text("\n".join(host.get("todo") or ["nothing"]), "" if host.get("todo") else "dim")
        grid.row(Text(host["name"], "bold"), str(host.get("address", "")), str(host.get("state", "")), todo)
    yield from (grid.table, Text())


def _plan_services(services: Sequence[Data], unicode: bool) -> Lines:
    """Unchanged services share a line: a plan is about what changes."""
    same = [row["name"] for row in services if row["action"] == "unchanged"]
    grid = Grid("wave", "action", "service", "changes", unicode=unicode)
    for row in services:
        if row["action"] != "unchanged":
            look = ACTION.get(row["action"], OTHER)
            changes = "\n".join(row.get("changes") or [])
            grid.row(f"{row.get('wave', '')!s:>4}", grid.state(look, row["action"]), Text(row["name"], "bold"), changes)
    if grid.table.row_count:
        yield grid.table
    if same:
        yield Text(f"unchanged: {names(same, 20)}", "dim")
    if services:
        yield Text()


def status(data: Data, unicode: bool) -> Lines:
    """`nodes`, `services`, `missing`, `orphans`, `release`, `running`."""
    nodes = Grid("node", "state", "role", "address", "docker", "groups", unicode=unicode)
    for node in data.get("nodes", []):
        word = (
            node["state"]
            if node.get("availability") in (None, "active")
            else f"{node['state']}, {node['availability']}"
        )
        state = nodes.state(_NODE.get(node["state"], LEVEL["warning"]), word)
        cells = (str(node.get(key, "")) for key in ("role", "address", "docker"))
        nodes.row(Text(node["name"], "bold"), state, *cells, ", ".join(node.get("groups", [])))
    yield from (nodes.table, Text())
    rows = Grid("service", "state", "healthy", "hosts", "ports", "image", unicode=unicode)
    for row in data.get("services", []):
        state = rows.state(_SERVICE.get(row["state"], OTHER), row["state"])
        ports = ", ".join(str(port) for port in row.get("ports", []))
        hosts, replicas = names(row.get("hosts", []), 3), f"{row['healthy']}/{row['wanted']}"
        rows.row(Text(row["name"], "bold"), state, replicas, hosts, ports, short_image(str(row.get("image", ""))))
    for name in data.get("missing", []):
        rows.row(Text(name, "bold"), rows.state(_BROKEN, "missing"), "", "", "", "")
    yield from (rows.table, Text())
    for row in data.get("services", []):
        if row.get("detail"):
            yield Text(f"{row['name']}: ", "bold").append(one_line(str(row["detail"])), "")
    if data.get("orphans"):
        yield Text(f"not in the catalogue any more: {names(data['orphans'], 20)}", "yellow")
    yield from _releases(data)


def _releases(data: Data) -> Lines:
    last, under_way = data.get("release"), data.get("running")
    if last:
        yield Text(f"last release {last.get('number', '?')}: {last.get('verdict', '?')}{_who(last)}")
    else:
        yield Text("no release yet")
    if under_way:
        yield Text(f"under way: {under_way.get('action', 'a run')}{_who(under_way)}", "cyan")


def _who(labels: Data) -> str:
    parts = (("by", "user"), ("on", "host"), ("at", "started"))
    said = "".join(f" {word} {labels[key]}" for word, key in parts if labels.get(key))
    why = labels.get("reason") or labels.get("message")
    return f",{said}{f' ({one_line(str(why))})' if why else ''}" if said or why else ""


def verify(data: Data, unicode: bool) -> Lines:
    """`checks: [{name, ok, ms, detail}]`, `asked_from`."""
    checks = data.get("checks", [])
    yield from checks_table(checks, unicode)
    failed = sum(not check["ok"] for check in checks)
    source = f", asked from {data['asked_from']}" if data.get("asked_from") else ""
    verdict = f"{failed} of {count(len(checks), 'check')} failed" if failed else f"all {count(len(checks), 'check')} ok"
    yield Text(f"{verdict}{source}", "bold red" if failed else "bold")


def checks_table(checks: Sequence[Data], unicode: bool) -> Lines:
    """`[{name, ok, ms, detail}]`."""
    grid = Grid("check", "result", "latency", "detail", unicode=unicode)
    for check in checks:
        state = grid.state(_ALRIGHT, "ok") if check["ok"] else grid.state(_BROKEN, "failed")
        grid.row(check["name"], state, f"{check.get('ms', 0):.0f} ms", one_line(str(check.get("detail", ""))))
    yield from (grid.table, Text())
