"""Results of the verbs that keep an environment in order. Each function takes the `data` of its kind of result."""

from __future__ import annotations

from rich.text import Text

from llmdeploy.view.grid import Data, Grid, Lines
from llmdeploy.view.words import ACTION, HOST, LEVEL, count

MOST_NAMES = 3


def unlock(data: Data, unicode: bool) -> Lines:
    """`holder` (None: nobody), `by` and `recorded` (the number of a release)."""
    holder = data["holder"]
    if holder is None:
        yield Text(f"{data['environment']}: nobody holds the lock", "bold")
        return
    look = LEVEL["warning"]
    whose = f"{holder['user']} on {holder['host']} ({holder['action']} since {holder['started']})"
    yield Text(f"{look.sign if unicode else look.ascii} the lock of {whose} is taken away", look.style)
    noted = f"noted at release {data['recorded']}" if data["recorded"] else "there is no release to note it at"
    yield Text(f"  by {data['by']}; {noted}; should that run live, it stops now")


def swarm_unlocked(data: Data, unicode: bool) -> Lines:
    """`unlocked`: hosts; `source`: where the key was from; `away`: why others could not be looked at."""
    if data["unlocked"]:
        text = f"{data['environment']}: unlocked {', '.join(data['unlocked'])} with the key from {data['source']}"
        yield Text(f"{text}; its services start by themselves", "bold")
    else:
        yield Text(f"{data['environment']}: no manager is locked", "bold")
    look = LEVEL["warning"]
    yield from (Text(f"  {look.sign if unicode else look.ascii} {one}", look.style) for one in data["away"])


def prune(data: Data, unicode: bool) -> Lines:
    """`hosts: [{host, images: [{id, names, size}], bytes, problem}]`, `configs`, `secrets`; `removed`: gone."""
    if not data["changes"] and not any(row["problem"] for row in data["hosts"]):
        yield Text(
            f"{data['environment']}: nothing to remove, every image is needed, in use, or somebody else's", "bold"
        )
        return
    grid = Grid("host", "images", "freed" if data["removed"] else "at most", "which", unicode=unicode)
    for row in data["hosts"]:
        if row["problem"]:
            grid.row(grid.state(HOST["failed"], row["host"]), "", "", Text(row["problem"], "red"))
            continue
        look = HOST["ok"] if data["removed"] or not row["images"] else ACTION["remove"]
        grid.row(grid.state(look, row["host"]), str(len(row["images"])), size(row["bytes"]), _names(row["images"]))
    yield grid.table
    if data["configs"]:
        yield Text(f"{count(len(data['configs']), 'configuration')} of the edge: {', '.join(data['configs'])}")
    if data["secrets"]:
        yield Text(f"{count(len(data['secrets']), 'secret')}: {', '.join(data['secrets'])}")


def size(number: int) -> str:
    """Out: 0 B, 3.4 MB, 1.2 GB, as `docker images` counts."""
    value = float(number)
    for unit in ("B", "kB", "MB"):
        if value < 1000:
            return f"{value:.0f} {unit}" if unit == "B" or value >= 100 else f"{value:.1f} {unit}"
        value /= 1000
    return f"{value:.1f} GB"


def _names(images: list[Data]) -> str:
    named = [str(next(iter(image["names"]), image["id"].removeprefix("sha256:")[:12])) for image in images]
    more = f" and {len(named) - MOST_NAMES} more" if len(named) > MOST_NAMES else ""
    return ", ".join(named[:MOST_NAMES]) + more
