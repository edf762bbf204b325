"""A plan: hosts, services in their order, what was changed by hand, the edge. Takes its `data`, as in `--json`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from rich.text import Text

from llmdeploy.view.grid import Data, Grid, Lines, problems
from llmdeploy.view.releases import EDGE_LINES, edge_lines
from llmdeploy.view.words import ACTION, LEVEL, OTHER, Look, count, names

_KINDS: dict[str, tuple[Look, str]] = {
    "changed": (ACTION["change"], ""),
    "removed": (ACTION["remove"], "removed"),
    "added": (ACTION["create"], "made by no release"),
    "foreign": (LEVEL["warning"], "somebody else's service on our network"),
}


def plan(data: Data, unicode: bool) -> Lines:
    """`hosts: [{name, address, state, todo}]`, `services: [{name, wave, action, changes}]`, `problems`, `orphans`,
    `drift: [{service, kind, changes: [{what, then}], then}]`, `on` (the release the stack is on), `edge`; of a rollback
    also `action`, `from` and `to`.
    """
    if data.get("to"):
        yield Text(
            f"{data['action']}: release {data.get('from') or '?'} {_arrow(unicode)} release {data['to']}\n", "bold"
        )
    yield from _hosts(data.get("hosts", []), unicode)
    yield from _services(data.get("services", []), unicode)
    if (data.get("edge") or {}).get("lines"):
        yield from edge_lines(data["edge"], EDGE_LINES)
        yield Text()
    yield from _drift(data, unicode)
    if data.get("orphans"):
        stay = "stays" if len(data["orphans"]) == 1 else "stay"
        text = f"not in the catalogue any more: {names(data['orphans'], 20)}: {stay}"
        yield Text(f"{text} (removed with --remove-orphans)", "yellow")
    yield from problems(data.get("problems", []), unicode)
    touched = [row for row in data.get("services", []) if row["action"] != "unchanged"]
    busy = [host for host in data.get("hosts", []) if host.get("todo")]
    if not touched and not busy and not data.get("changes"):
        yield Text("Nothing to change.", "bold")
        return
    code = "" if data.get("action") else " (exit code 10)"
    yield Text(f"{count(len(touched), 'service')} and {count(len(busy), 'host')} to change{code}.", "bold")


def _hosts(hosts: Sequence[Data], unicode: bool) -> Lines:
    if not hosts:
        return
    grid = Grid("host", "address", "state", "to do", unicode=unicode)
    for host in hosts:
        todo = Text("\n".join(host.get("todo") or ["nothing"]), "" if host.get("todo") else "dim")
        grid.row(Text(host["name"], "bold"), str(host.get("address", "")), str(host.get("state", "")), todo)
    yield from (grid.table, Text())


def _services(services: Sequence[Data], unicode: bool) -> Lines:
    """Unchanged services share a line: a plan is about what changes."""
    touched = [row for row in services if row["action"] != "unchanged"]
    same = [row["name"] for row in services if row["action"] == "unchanged"]
    grid = Grid("wave", "action", "service", "changes", unicode=unicode)
    for row in touched:
        state = grid.state(ACTION.get(row["action"], OTHER), row["action"])
        changes = "\n".join(row.get("changes") or [])
        grid.row(f"{row.get('wave', '')!s:>4}", state, Text(row["name"], "bold"), changes)
    if touched:
        yield grid.table
    if same:
        yield Text(f"unchanged: {names(same, 20)}", "dim")
    yield from _order(touched, unicode)
    if services:
        yield Text()


def _order(touched: Sequence[Data], unicode: bool) -> Lines:
    """What comes after what, where there is more than one wave of it."""
    waves = [
        [str(row["name"]) for row in members] for _, members in groupby(touched, key=lambda row: row.get("wave", 1))
    ]
    if len(waves) > 1:
        yield Text(f"order: {f' {_arrow(unicode)} '.join(names(wave, 20) for wave in waves)}")


def _arrow(unicode: bool) -> str:
    return "→" if unicode else ">"


def _drift(data: Data, unicode: bool) -> Lines:
    """What somebody else did to the stack, and what becomes of it."""
    rows = data.get("drift", [])
    if not rows:
        return
    title = f"changed by hand since release {data['on']}" if data.get("on") else "beside the stack"
    grid = Grid("service", title, "with this", unicode=unicode)
    for row in rows:
        look, word = _KINDS.get(row["kind"], (OTHER, row["kind"]))
        name = grid.state(look, row["service"])
        for line in row["changes"] or [{"what": word, "then": row["then"]}]:
            grid.row(name, line["what"], line["then"])
            name = Text()
    yield from (grid.table, Text())
