"""One release, and two compared. Each function takes the `data` of its kind of result, as in `--json`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from llmdeploy.view.grid import Data, Grid, Lines, below, columns
from llmdeploy.view.history import action, moment, open_release, revision, verdict, who
from llmdeploy.view.words import ACTION, INDENT, OTHER, SERVICE, count, names, one_line, seconds, short_image

EDGE_LINES = 40
BUILT = "llmdeploy/"  # images made here: their tags name their content


def release(data: Data, unicode: bool) -> Lines:
    """One row of the list, with `against`, `services`, `removed`, `waves`, `edge`, `network`, `requests`."""
    head = Text(f"release {data['number']}: ", "bold").append_text(verdict(data, unicode))
    took = f" in {seconds(data['seconds'])}" if data["seconds"] else ""
    yield head.append(f"{took}{'; the stack is on it' if data['on'] else ''}", "")
    facts = Grid("", "", unicode=unicode)
    for title, text in _facts(data):
        if text:
            facts.row(Text(title, "dim"), text)
    yield facts.table
    if data["open"]:
        yield open_release(data, data.get("environment", "ENV"), unicode)
    yield Text()
    yield from _services(data, unicode)
    yield from _waves(data.get("waves", []), unicode)
    if data["verdict"] == "good" and not data["on"] and not data.get("target"):
        yield Text(
            f"llmdeploy {data.get('environment', 'ENV')} rollback {data['number']} brings the stack back to it", "dim"
        )


def _facts(data: Data) -> Iterator[tuple[str, str]]:
    yield "action", action(data)
    yield "by", f"{who(data)}{f', llmdeploy {tool}' if (tool := data['tool']) else ''}"
    yield "why", one_line(data["reason"])
    yield "git", revision(data).removeprefix("git ")
    ended = moment(data["finished"])
    yield "when", f"{moment(data['started'])}{f' to {ended[-5:]}' if ended else ''}"
    yield "ended", one_line(data["summary"])
    yield "unlocked", data["unlocked"]
    yield "catalogue", data["catalogue"]
    yield "edge", data.get("edge", "")
    yield "network", data.get("network", "")
    yield "requests", names(data.get("requests", []), 20)
    yield "before", f"release {data['against']}" if data.get("against") else "nothing in the history"
    yield "changes", "; ".join(data.get("stack_changes", []))


def _services(data: Data, unicode: bool) -> Lines:
    head: list[Text | str] = [Text(word, "bold") for word in ("wave", "service", "replicas", "took", "image")]
    services = data.get("services", [])
    lines = columns([head, *(_service(row) for row in services)])
    yield lines[0]
    for line, row in zip(lines[1:], services, strict=True):
        yield line
        for text in _details(row, unicode, compared=data.get("against") is not None):
            yield below(text, INDENT)
    look = ACTION["remove"]
    for name in data.get("removed", []):
        yield Text(f"      {name}  ", "bold").append(f"{look.sign if unicode else look.ascii} removed", look.style)
    yield Text()


def _service(row: Data) -> list[Text | str]:
    replicas = "global" if row["replicas"] is None else f"{row['replicas']:>8}"
    took = row.get("time") or {}
    time = seconds(float(took["seconds"])) if took.get("began") is not None else ""
    ref = row["image"].partition("@")[0]
    digest = short_image(row["pin"])[-12:]
    image = digest if ref.startswith("sha256:") else ref if ref.startswith(BUILT) else f"{ref} {digest}"
    return [f"{row['wave']:>4}", Text(row["name"], "bold"), replicas, f"{time:>7}", image]


def _details(row: Data, unicode: bool, *, compared: bool) -> Iterator[Text]:
    """What is different from the release before, how it ended if it did not end well, secrets and configs."""
    state = str((row.get("time") or {}).get("state", ""))
    if state in ("failed", "blocked", "waiting"):
        yield Text(state, SERVICE[state].style)
    if compared and row["action"] != "unchanged":
        look = ACTION.get(row["action"], OTHER)
        lines = row["changes"] or [f"{row['action']}d"]
        yield from (Text(f"{look.sign if unicode else look.ascii} {line}", look.style) for line in lines)
    for kind in ("secrets", "configs"):
        if row[kind]:
            yield Text(f"{kind}: {names(row[kind], 20)}", "dim")


def _waves(waves: Sequence[Data], unicode: bool) -> Lines:
    grid = Grid("wave", "began", "took", "services", unicode=unicode)
    for one in waves:
        began = f"+{seconds(one['began'])}"
        grid.row(f"{one['wave']:>4}", began, seconds(one["seconds"]), names(one["services"], 20))
    if waves:
        yield grid.table


def difference(data: Data, unicode: bool) -> Lines:
    """`from`, `to`, `services: [{name, action, changes}]`, `stack_changes`, `edge: {from, to, lines}`."""
    rows = [row for row in data["services"] if row["action"] != "unchanged"]
    yield Text(f"release {data['from']} → release {data['to']}", "bold")
    grid = Grid("", "", "", unicode=unicode)
    for row in rows:
        look = ACTION.get(row["action"], OTHER)
        grid.row(grid.state(look, row["action"]), Text(row["name"], "bold"), "\n".join(row["changes"]))
    if rows:
        yield grid.table
    for line in data["stack_changes"]:
        yield Text(line)
    yield from edge_lines(data["edge"], EDGE_LINES)
    if not rows and not data["stack_changes"]:
        yield Text("no difference")
    else:
        yield Text(f"{count(len(data['services']) - len(rows), 'service')} unchanged", "dim")


def edge_lines(edge: Data, most: int) -> Lines:
    """`lines`: how the edge's configuration differs; at most so many."""
    lines = edge.get("lines") or []
    if lines:
        yield Text(f"edge configuration: {edge.get('from') or 'none'} → {edge.get('to') or 'none'}")
    for line in lines[:most]:
        yield Text(f"  {line}", {"+": "green", "-": "red"}.get(line[:1], "dim"))
    if len(lines) > most:
        yield Text(f"  and {len(lines) - most} more lines (--json has all)", "dim")
