"""Which view shows a run: JSON when asked for, GitHub's log, plain lines where there is no terminal, else live."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import TracebackType
from typing import Protocol, TextIO

from llmdeploy.events import Event
from llmdeploy.view.github import GithubView
from llmdeploy.view.gone import unless_gone
from llmdeploy.view.jsonlines import JsonLinesView
from llmdeploy.view.plain import PlainView


@dataclass(frozen=True)
class ViewMode:
    """What the user asked for; `command` as typed ("dev deploy")."""

    json: bool = False
    plain: bool = False
    quiet: bool = False
    verbose: int = 0
    command: str = ""


class View(Protocol):
    """What shows a run."""

    def on_event(self, event: Event) -> None:
        """Shows an event; called in order, from one thread."""

    def say(self, text: str) -> None:
        """Shows a line that is no event."""

    def paused(self) -> contextlib.AbstractContextManager[None]:
        """Keeps the terminal free for a question meanwhile."""

    def close(self) -> None:
        """The run is over."""


class OpenView:
    """A view and the log beside it, as a context: at the end the view is closed, whatever happened."""

    def __init__(self, view: View, log: PlainView | None) -> None:
        self._views: list[View] = [*([log] if log else []), view]

    def on_event(self, event: Event) -> None:
        """Shows an event, and writes it to the log first."""
        for view in self._views:
            with unless_gone(blind=view is self._views[-1]):
                view.on_event(event)

    def say(self, text: str) -> None:
        """Shows a line that is no event."""
        for view in self._views:
            with unless_gone(blind=view is self._views[-1]):
                view.say(text)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Keeps the terminal free for a question meanwhile."""
        with self._views[-1].paused():
            yield

    def close(self) -> None:
        """Closes the view; a second time does nothing."""
        for view in self._views:
            with unless_gone(blind=view is self._views[-1]):
                view.close()

    def __enter__(self) -> OpenView:
        return self

    def __exit__(self, *error: type[BaseException] | BaseException | TracebackType | None) -> None:
        self.close()


def make_view(
    mode: ViewMode,
    *,
    environment: str,
    action: str,
    log: TextIO | None = None,
    out: TextIO | None = None,
    environ: Mapping[str, str] = os.environ,
) -> OpenView:
    """In: what was asked for, what runs, the log's stream (gets everything). Out: the view, to be used with `with`."""
    stream = out or sys.stdout
    written = PlainView(log, verbose=True) if log else None
    if written:
        written.say(f"{environment} {action}, {datetime.now().astimezone():%Y-%m-%d %H:%M:%S %z}")
    return OpenView(_pick(mode, f"{environment} {action}", stream, environ), written)


def _pick(mode: ViewMode, title: str, out: TextIO, environ: Mapping[str, str]) -> View:
    verbose = mode.verbose > 0
    if mode.json:
        return JsonLinesView(out)
    if environ.get("GITHUB_ACTIONS") == "true":
        return GithubView(out, quiet=mode.quiet, verbose=verbose)
    from llmdeploy.view import console, live  # noqa: PLC0415  # rich is not loaded where a program reads

    if mode.plain or mode.quiet or not console.is_terminal(out):
        return PlainView(out, quiet=mode.quiet, verbose=verbose)
    return live.LiveView(console.make_console(out), title, unicode=console.is_unicode(out), verbose=verbose)
