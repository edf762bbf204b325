"""DORA's four keys as a table that says what each figure rests on. Takes `data`, as in `--json`."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from llmdeploy.view.grid import Data, Grid, Lines
from llmdeploy.view.history import moment
from llmdeploy.view.words import LEVEL, count, names

_LEFT_OUT = {
    "no_time": "without a commit's time",
    "uncommitted": "with uncommitted changes",
    "same_commit": "of the same commit",
}


def dora(data: Data, unicode: bool) -> Lines:
    """`first`, `last`, `cut`, `since`, `days`, `within`, `few`, a row for each key, `failures`."""
    if not data.get("kept"):
        yield Text("no release yet")
        return
    yield Text(f"{_which(data)}, from {moment(data['since'])} until now ({span(data['days'] * 86400)})", "bold")
    grid = Grid("", "", "rests on", unicode=unicode)
    for title, value, ground in _rows(data):
        grid.row(title, value, ground)
    yield grid.table
    yield Text()
    if data["cut"]:
        look = LEVEL["warning"]
        text = f"releases before {data['first']} are not counted: `releases.keep` says how many are kept"
        yield Text(f"{look.sign if unicode else look.ascii} {text}", look.style)
    within = span(data["within"])
    yield Text(f"failed: failed, rolled back, interrupted, or undone by a rollback within {within}", "dim")
    yield Text(f"too few: less than {data['few']}", "dim")


def _which(data: Data) -> str:
    first, last = data["first"], data["last"]
    return f"release {last}" if first == last else f"releases {first} to {last}"


def _rows(data: Data) -> Iterator[tuple[str, str, Text]]:
    keys = ("deployment_frequency", "lead_time", "change_failure_rate", "recovery_time")
    often, lead, rate, back = (data[key] for key in keys)
    good = f"{often['good']} of them good" if often["releases"] else ""
    yield "deployment frequency", pace(often), _ground(often, "deployment", good)
    left_out = ", ".join(f"{number} {_LEFT_OUT[why]}" for why, number in lead["left_out"].items() if number)
    why = f"left out: {left_out}" if left_out else ""
    yield "lead time for changes", _times(lead), _ground(lead, "good deployment", why)
    which = names((_failure(one) for one in data["failures"]), 4)
    yield "change failure rate", _percent(rate), _ground(rate, "deployment", f"failed: {which}" if which else "")
    not_yet = f"{back['not_yet']} not recovered yet" if back["not_yet"] else ""
    yield "recovery time", _times(back), _ground(back, "failed deployment", not_yet)


def _ground(row: Data, noun: str, more: str) -> Text:
    """How many releases a figure rests on, what else is to say, and whether they are too few."""
    number = row["releases"]
    text = Text(count(number, noun) if number else f"no {noun}").append(f"; {more}" if more else "")
    if number and row["too_few"]:
        text.append(f"\n{count(number, 'release')}: too few to mean anything", "yellow")
    return text


def pace(row: Data) -> str:
    """Out: `2.3 a day`, `1.5 a week`; a rate below one in a day is told by the week."""
    if not row["releases"]:
        return "-"
    if row["per_day"] is None:
        return f"{row['releases']} in less than a day"
    per_day = row["per_day"]
    return f"{per_day:.1f} a day" if per_day >= 1 else f"{per_day * 7:.1f} a week"


def _times(row: Data) -> str:
    if row["median"] is None:
        return "-"
    return f"{span(row['median'])} median\n{span(row['worst'])} at worst"


def _percent(row: Data) -> str:
    return "-" if row["rate"] is None else f"{row['rate']:.0%}"


def _failure(one: Data) -> str:
    return f"{one['number']} undone by {one['undone_by']}" if one["undone_by"] else f"{one['number']} {one['why']}"


def span(seconds: float) -> str:
    """In: seconds. Out: `42 s`, `12 min`, `3.5 h`, `2.1 days`: as exact as such figures are."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds < 2 * 86400:
        return f"{seconds / 3600:.1f} h".replace(".0 h", " h")
    return f"{seconds / 86400:.1f} days".replace(".0 days", " days")
