"""The list of releases, and the words for one of them that other results use too. Takes `data`, as in `--json`."""

from __future__ import annotations

from datetime import datetime

from rich.text import Text

from llmdeploy.view.grid import Data, Lines, below, columns
from llmdeploy.view.words import INDENT, OTHER, VERDICT, count, names, one_line, seconds

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
