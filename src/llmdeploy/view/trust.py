"""The result of `llmdeploy ENV trust`."""

from __future__ import annotations

from rich.text import Text

from llmdeploy.view.grid import Data, Grid, Lines
from llmdeploy.view.words import Look, count

_STATE: dict[str, Look] = {
    "known": Look("✓", "+", "green"),
    "new": Look("·", ".", "cyan"),
    "changed": Look("!", "!", "yellow"),
    "unreachable": Look("✗", "x", "bold red"),
}


def trust(data: Data, unicode: bool) -> Lines:
    """`hosts: [{name, address, kind, fingerprint, state, detail}]`, `file`, `recorded`: how many were."""
    if not data["hosts"]:
        yield Text("this environment has no host that is reached by SSH", "bold")
        return
    grid = Grid("host", "address", "key", "fingerprint", "state", unicode=unicode)
    for row in data["hosts"]:
        state = grid.state(_STATE[row["state"]], row["state"])
        grid.row(Text(row["name"], "bold"), row["address"], row["kind"], row["fingerprint"], state)
    yield grid.table
    yield from (Text(f"  {row['name']}: {row['detail']}") for row in data["hosts"] if row["state"] == "changed")
    if data["recorded"]:
        yield Text(f"{count(data['recorded'], 'key')} recorded in {data['file']}: commit it", "bold")
