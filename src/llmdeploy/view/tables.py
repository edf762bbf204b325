"""status and verify as tables. Each function takes the `data` of its kind of result, as in `--json`."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from llmdeploy.view.grid import Data, Grid, Lines
from llmdeploy.view.history import moment, open_release, unsettled
from llmdeploy.view.words import LEVEL, OTHER, SERVICE, count, names, one_line, seconds, short_image

_ALRIGHT, _BROKEN, _BUSY = SERVICE["done"], SERVICE["failed"], SERVICE["starting"]
_NODE = {"ready": _ALRIGHT, "down": _BROKEN, "disconnected": _BROKEN}
_SERVICE = {"healthy": _ALRIGHT, "degraded": LEVEL["warning"], "failing": _BROKEN, "starting": _BUSY}


def status(data: Data, unicode: bool) -> Lines:
    """`nodes`, `services`, `missing`, `orphans`; `release` (the newest), `on` (the stack's), `open`, `running`."""
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
    if data.get("tls"):
        yield _tls(data["tls"], data.get("environment", "ENV"), unicode)
    yield from _releases(data, unicode)


def _tls(tls: Data, environment: str, unicode: bool) -> Text:
    """Until when the edge's certificate is good; what to do where that is not long; that there is none."""
    look = LEVEL["warning"] if tls["warn"] else SERVICE["done"]
    if tls["mode"] == "off":
        text = "TLS: off; what goes through the edge can be read on its way"
    elif tls["days"] < 0:
        look, text = _BROKEN, f"TLS: the certificate expired on {tls['until'][:10]}: llmdeploy {environment} tls renew"
    else:
        left = f"{tls['mode']}, until {tls['until'][:10]} ({count(tls['days'], 'day')})"
        text = f"TLS: {left}" + (f": llmdeploy {environment} tls renew" if tls["warn"] else "")
    return Text(f"{look.sign if unicode else look.ascii} {text}", look.style)


def _releases(data: Data, unicode: bool) -> Lines:
    """The release the stack is on, the newest where that is another, one that was left open, and who holds the lock."""
    newest, on, under_way = data.get("release"), data.get("on") or {}, data.get("running")
    if not newest:
        yield Text("no release yet")
    elif on:
        yield Text(f"on release {on['number']}{_who(on)}")
    left_open = data.get("open")
    told = newest and newest.get("verdict") == "running"  # open, or under way
    if newest and not told and newest.get("number") not in (on.get("number"), on.get("source")):
        yield Text(f"last release {newest['number']}: {newest.get('verdict', '?')}{_who(newest)}")
    if left_open:
        yield open_release(left_open, data.get("environment", "ENV"), unicode)
    elif not under_way and on.get("settled") is False:
        yield unsettled(on["number"], data.get("environment", "ENV"), unicode)
    if under_way and under_way.get("silent"):
        look, silent = LEVEL["warning"], seconds(float(under_way["silent"]))
        text = f"the lock is held{_who(under_way)}, silent for {silent}: the next run takes it over"
        yield Text(f"{look.sign if unicode else look.ascii} {text}", look.style)
    elif under_way:
        look = SERVICE["starting"]
        sign = look.sign if unicode else look.ascii
        yield Text(f"{sign} under way: {under_way.get('action') or 'a run'}{_who(under_way)}", look.style)


def _who(labels: Data) -> str:
    """Out: `, by ana on laptop at 18:00 (why)`: what is known of it."""
    started = moment(str(labels["started"])) if labels.get("started") else ""
    parts = (("by", labels.get("user")), ("on", labels.get("host")), ("at", started))
    said = "".join(f" {word} {value}" for word, value in parts if value)
    why = labels.get("reason")
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
