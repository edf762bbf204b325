"""The result of `llmdeploy ENV monitoring open`."""

from __future__ import annotations

from rich.text import Text

from llmdeploy.view.grid import Data, Grid, Lines


def opened(data: Data, unicode: bool) -> Lines:
    """`addresses: [{part, url, port, login}]`, `password` and `tunnel`: commands, the last one empty for none."""
    grid = Grid("part", "address", "login", unicode=unicode)
    for row in data["addresses"]:
        login = "admin, with a password" if row["login"] else "none: from allowed networks only"
        grid.row(Text(row["part"], "bold"), row["url"], login)
    yield grid.table
    yield Text(f"the password: {data['password']}")
    if data["tunnel"]:
        yield Text(f"from anywhere with SSH: llmdeploy {data['environment']} monitoring open --tunnel")
