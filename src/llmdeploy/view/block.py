"""Permanent lines of the live view and of results: a state in front, text that wraps behind it."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from llmdeploy.events import Failure, HostProblem, HostStep
from llmdeploy.view import sentences
from llmdeploy.view.words import HOST, LEVEL, Look, one_line, seconds


def line(look: Look, word: str, text: Text | str, *, unicode: bool = True) -> RenderableType:
    """Out: sign, word, and the text wrapped in its own column."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True, min_width=13)
    grid.add_column(overflow="fold")
    grid.add_row(Text(f"{look.sign if unicode else look.ascii} {word}", look.style), text)
    return grid


def host_step(event: HostStep, *, unicode: bool = True) -> RenderableType:
    """Out: a step that changed something or failed."""
    took = f" ({seconds(event.seconds)})" if event.seconds >= 1 else ""
    text = Text(event.host, "bold").append(f"  {one_line(event.step)}{took}", "")
    if event.detail:
        text.append(f"\n{event.detail}", "")
    return line(HOST.get(event.state, HOST["ok"]), event.state, text, unicode=unicode)


def host_problem(event: HostProblem, *, unicode: bool = True) -> RenderableType:
    """Out: what a check found, and what to do."""
    text = Text(event.host, "bold").append(f"  {event.check}: {one_line(event.message)}", "")
    if event.hint:
        text.append(f"\n{one_line(event.hint)}", "dim")
    return line(LEVEL.get(event.level, LEVEL["info"]), event.level, text, unicode=unicode)


def failure(event: Failure, *, unicode: bool = True) -> RenderableType:
    """Out: everything about a failure, the log indented and dim."""
    sign = HOST["failed"].sign if unicode else HOST["failed"].ascii
    parts: list[RenderableType] = [Text(), Text(f"{sign} {sentences.failure_head(event)}", "bold red")]
    for title, lines in sentences.failure_facts(event):
        if len(lines) == 1:
            parts.append(Padding(Text(f"{title}: ", "bold").append(lines[0], ""), (0, 0, 0, 2)))
            continue
        style = "dim" if title.startswith("last ") else ""
        parts.append(Padding(Text(f"{title}:", "bold"), (0, 0, 0, 2)))
        parts.append(_listed(lines, style, sign="·" if unicode else "-"))
    return Group(*parts, Text())


def _listed(lines: list[str], style: str, *, sign: str) -> RenderableType:
    """Each line with a sign in front, so that wrapped ones can be told apart."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(width=4, justify="right")
    grid.add_column(overflow="fold")
    for text in lines:
        grid.add_row(Text(sign, style), Text(text, style))
    return grid
