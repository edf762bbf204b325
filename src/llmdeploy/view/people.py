"""Results and errors for people, on a terminal or in a pipe."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, TextIO

from rich.console import Console, RenderableType
from rich.text import Text

from llmdeploy.errors import ConfigError, LlmdeployError, Problem
from llmdeploy.events import harmless, map_value
from llmdeploy.view.console import is_terminal, is_unicode, make_console
from llmdeploy.view.github import annotation, defused
from llmdeploy.view.jsonlines import escaped
from llmdeploy.view.kinds import KINDS, OF_LABELS, VERBATIM
from llmdeploy.view.words import one_line

_REST = "default not bold"


def table(kind: str, data: Mapping[str, Any], out: TextIO) -> None:
    """Prints the `data` of a result; a kind without a table as JSON that people can read.

    Whoever can write to the cluster's Docker can write what it holds: nothing of it reaches the terminal as it is.
    """
    if kind in VERBATIM:
        out.write(VERBATIM[kind](data, terminal=is_terminal(out)))
        return
    make = KINDS.get(kind)
    if make is None:
        out.write(escaped(json.dumps(data, indent=2, ensure_ascii=False, default=str)) + "\n")
        return
    shown = map_value(data, (lambda text: one_line(harmless(text))) if kind in OF_LABELS else harmless)
    console = make_console(out)
    for part in make(shown, is_unicode(out)):
        _print(console, part, out)


def _print(console: Console, part: RenderableType, out: TextIO) -> None:
    """In a pipe no line ends with the blanks that fill a table's column."""
    if console.is_terminal:
        console.print(part)
        return
    with console.capture() as captured:
        console.print(part)
    out.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def error(problem: LlmdeployError, err: TextIO) -> None:
    """Prints why a verb failed."""
    if isinstance(problem, ConfigError):
        _config_error(problem, err)
    else:
        message(problem.message, problem.hint, err)


def message(text: str, hint: str, err: TextIO, *, wanted: bool = False) -> None:
    """Prints an error and what to do next; GitHub gets an annotation too. `wanted`: somebody chose this end."""
    console = make_console(err)
    text, hint = _safe(text), _safe(hint)
    whole = not console.is_terminal  # in a pipe a line is a line, however long
    title = Text("Note: ", "bold yellow") if wanted else Text("Error: ", "bold red")
    console.print(title.append(text, _REST), soft_wrap=whole)
    if hint:
        console.print(Text("Hint: ", "bold").append(hint, _REST), soft_wrap=whole)
    _annotate("llmdeploy", "\n".join(part for part in (text, hint) if part), err)


def _config_error(error: ConfigError, err: TextIO) -> None:
    """Grouped by file, in the order of the lines, each with `file:line:` so that an editor can jump there."""
    console = make_console(err)
    console.print(Text("Error: ", "bold red").append(f"{error.message}; nothing was contacted or changed", _REST))
    in_order = sorted(error.problems, key=lambda problem: (problem.file, problem.line, problem.path))
    for file in dict.fromkeys(problem.file for problem in in_order):
        console.print(Text(f"\n{file}", "bold"))
        for problem in in_order:
            if problem.file == file:
                console.print(_problem(problem), soft_wrap=True)
    for problem in in_order:
        _annotate(f"{problem.file}:{problem.line}", str(problem), err)


def _problem(problem: Problem) -> Text:
    place = f"{problem.file}:{problem.line}" if problem.line else problem.file
    text = Text(f"  {place}: ", "cyan").append(f"{problem.path} " if problem.path else "", "default bold")
    text.append(f"= {harmless(problem.value)} " if problem.value else "", "default")
    text.append(f"— {harmless(problem.why)}", "default")
    return text.append(f" ({harmless(problem.hint)})", "dim") if problem.hint else text


def _safe(text: str) -> str:
    text = harmless(text)
    return defused(text) if _on_github() else text


def _on_github() -> bool:
    return os.environ.get("GITHUB_ACTIONS") == "true"


def _annotate(title: str, text: str, err: TextIO) -> None:
    if _on_github():
        err.write(annotation("error", title, text) + "\n")
