"""history, one release, two releases compared. Each function takes the `data` of its kind of result, as in `--json`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from rich.text import Text

from llmdeploy.view.grid import Data, Grid, Lines, below, columns
from llmdeploy.view.words import ACTION, OTHER, SERVICE, VERDICT, count, names, one_line, seconds, short_image

EDGE_LINES = 40
BUILT = "llmdeploy/"  # images made here: their tags name their content
INDENT = 8  # of what belongs to the line above
_MARK = ("◀", "<")  # the release the stack is on


def history(data: Data, unicode: bool) -> Lines:
    """`on`, `open`, `releases: [{number, started, action, user, …}]`, `left_off`."""
    rows = data.get("releases", [])
    if not rows:
        yield Text("no release yet")
        return
    head: list[Text | str] = [Text(word, "bold") for word in ("", "when", "action", "verdict", "took", "by")]
    lines = columns([head, *(_cells(row, unicode) for row in rows)])
    yield lines[0]
    for line, row in zip(lines[1:], rows, strict=True):
        yield line
        yield below(_more(row), INDENT)
    if data.get("left_off"):
        yield Text(f"and {count(data['left_off'], 'older release')} (-n {len(rows) + data['left_off']})", "dim")
    yield Text()
    yield standing(data, unicode)
    if data.get("open"):
        yield open_release(next(row for row in rows if row["open"]), data.get("environment", "ENV"), unicode)
    elif data.get("running"):
        look = VERDICT["running"]
        yield Text(f"{look.sign if unicode else look.ascii} release {data['running']} is under way", look.style)
    elif data.get("settled") is False:
        yield unsettled(data["on"], data.get("environment", "ENV"), unicode)


def _cells(row: Data, unicode: bool) -> list[Text | str]:
    number = Text(f"{row['number']:>4}", "bold").append(_mark(unicode) if row["on"] else "", "green")
    took = seconds(row["seconds"]) if row["seconds"] else ""
    return [number, moment(row["started"]), action(row), verdict(row, unicode), f"{took:>7}", row["user"]]


def standing(data: Data, unicode: bool) -> Text:
    """Out: which release the stack is on (`on`), and by which rollback (`source`)."""
    if not data.get("on"):
        return Text("no release has been good yet", "yellow")
    source = data.get("source")
    since = f", by the rollback {source}" if source and source != data["on"] else ""
    return Text(f"{_mark(unicode).strip()} the stack is on release {data['on']}{since}", "green")


def open_release(row: Data, environment: str, unicode: bool) -> Text:
    """Out: which release was left without an end, by whom, and what to do."""
    look = VERDICT["open"]
    text = Text(
        f"{look.sign if unicode else look.ascii} release {row['number']} was left open by {who(row)}", look.style
    )
    text.append(f" ({row['action']}, since {moment(row['started'])}): ", look.style)
    goes_on, back = f"llmdeploy {environment} deploy", f"llmdeploy {environment} rollback"
    return text.append(f"`{goes_on}` goes on from it, `{back}` takes it back", "")


def unsettled(on: int, environment: str, unicode: bool) -> Text:
    """Out: that a newer release failed and has not been taken back, and what to do."""
    look = VERDICT["open"]
    text = Text(f"{look.sign if unicode else look.ascii} a newer release failed and is not taken back", look.style)
    deploy, back = f"llmdeploy {environment} deploy", f"llmdeploy {environment} rollback"
    where = f", `{back}` brings everything to release {on}" if on else ""
    return text.append(f": `{deploy}` once it is corrected{where}", "")


def action(row: Data) -> str:
    """Out: `deploy`, or `rollback to 4`."""
    return f"{row['action']} to {row['target']}" if row.get("target") else str(row["action"])


def verdict(row: Data, unicode: bool) -> Text:
    """Out: sign and word of how a release ended."""
    word = "open" if row.get("open") else str(row["verdict"])
    look = VERDICT.get(word, OTHER)
    back = f" to {row['taken_back_to']}" if row.get("taken_back_to") else ""
    return Text(f"{look.sign if unicode else look.ascii} {word}{back}", look.style)


def who(row: Data) -> str:
    """Out: `ana on laptop`."""
    return f"{row['user'] or 'somebody'}{f' on {where}' if (where := row['host']) else ''}"


def moment(text: str) -> str:
    """In: a time of a release (UTC). Out: the same where we are, to the minute; empty for none."""
    try:
        return f"{datetime.fromisoformat(text).astimezone():%Y-%m-%d %H:%M}"
    except ValueError:
        return text


def _mark(unicode: bool) -> str:
    return f" {_MARK[0] if unicode else _MARK[1]}"


def _more(row: Data) -> Text:
    """Why, at which revision, from where, and what changed."""
    changed = names(row["changed"], 4)
    parts = [revision(row), f"from {row['host']}" if row["host"] else "", f"changed {changed}" if changed else ""]
    text = Text(one_line(row["reason"]), "")
    for part in filter(None, parts):
        text.append(f"{'; ' if text.plain else ''}{part}", "dim")
    if row.get("unlocked"):
        text.append(f"; unlocked by {row['unlocked']}", "yellow")
    return text


def revision(row: Data) -> str:
    """Out: `git 1a2b3c4`, with a word where files had been changed since."""
    return f"git {row['git'][:7]}{' and changes' if row['dirty'] else ''}" if row["git"] else ""


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
