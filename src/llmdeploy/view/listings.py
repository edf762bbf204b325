"""Results of the verbs that only look at files, and of doctor. Each function takes the `data` of its kind of result."""

from __future__ import annotations

import json

from rich.text import Text

from llmdeploy.view.grid import Data, Grid, Lines, problem
from llmdeploy.view.words import HOST, LEVEL, count


def doctor(data: Data, unicode: bool) -> Lines:
    """`hosts: [{name, problems}]` or `problems: [{host, check, level, message, hint}]`."""
    hosts = data.get("hosts", [])
    found = data.get("problems", [])
    known = dict.fromkeys([*(str(host["name"]) for host in hosts), *(str(one["host"]) for one in found)])
    by_host = {name: [one for one in found if one["host"] == name] for name in known}
    for name, own in by_host.items():
        look = LEVEL["error" if any(one["level"] == "error" for one in own) else "warning"] if own else HOST["ok"]
        word = count(len(own), "problem") if own else "fit"
        yield Text(f"{look.sign if unicode else look.ascii} {name}: {word}", look.style)
        yield from (problem(one, unicode) for one in own)
    errors = sum(one["level"] == "error" for one in found)
    yield Text(f"{count(errors, 'error')}, {count(len(found) - errors, 'warning')}", "bold red" if errors else "bold")


def config(data: Data, unicode: bool) -> Lines:
    """`values: [{key, value, origin}]`."""
    grid = Grid("key", "value", "from", unicode=unicode)
    for row in data.get("values", []):
        grid.row(row["key"], _value(row["value"]), Text(str(row["origin"]), "dim"))
    yield grid.table


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def environments(data: Data, unicode: bool) -> Lines:
    """`environments: [{name, inventory, settings}]`."""
    grid = Grid("environment", "inventory", "settings", unicode=unicode)
    for row in data.get("environments", []):
        grid.row(Text(row["name"], "bold"), str(row["inventory"]), str(row["settings"]))
    yield grid.table


def validate(data: Data, unicode: bool) -> Lines:
    """`hosts`, `services`, `waves` (service → wave, or lists of names)."""
    yield Text(
        f"{data.get('environment')}: valid, {count(data['services'], 'service')} on {count(data['hosts'], 'host')}",
        "bold",
    )
    grid = Grid("wave", "services", unicode=unicode)
    for number, members in enumerate(data.get("waves", []), 1):
        grid.row(f"{number:>4}", ", ".join(members))
    yield grid.table


def init(data: Data, _unicode: bool) -> Lines:
    """`folder`, `written`."""
    yield Text(f"{count(len(data['written']), 'file')} written to {data['folder']}", "bold")
    yield from (Text(f"  {path}") for path in data["written"])
    if data["written"]:
        yield Text("next: llmdeploy dev secrets init, then llmdeploy dev deploy")
