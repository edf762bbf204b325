"""The live view: one picture that is redrawn eight times a second, and permanent lines above it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from llmdeploy.events import Event, Failure, HostProblem, HostStep, Note, ReleasePlanned
from llmdeploy.view import block, sentences
from llmdeploy.view.frame import Frame
from llmdeploy.view.model import Run
from llmdeploy.view.words import LEVEL

REFRESH = 8
_PERMANENT_STEPS = ("failed", "unreachable", "changed")


class LiveView:
    """Draws a run on a terminal. What changed or failed stays above the picture, the last picture stays below it."""

    def __init__(
        self,
        console: Console,
        title: str,
        *,
        unicode: bool = True,
        verbose: bool = False,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console, self._title, self._unicode, self._verbose, self._now = console, title, unicode, verbose, now
        self._run = Run(now())
        self._lock = threading.Lock()
        self._live = self._new_live()
        self._live.start()

    def on_event(self, event: Event) -> None:
        """Takes in one event; the next picture shows it."""
        with self._lock:
            self._run.apply(event, self._now())
        lasting = self._lasting(event)
        if lasting is not None:
            self._console.print(lasting)

    def say(self, text: str) -> None:
        """Puts a line above the picture."""
        self._console.print(Text(text))

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Takes the picture away, for a question, and brings it back."""
        self._live.transient = True
        self._live.stop()
        try:
            yield
        finally:
            self._live = self._new_live()
            self._live.start()

    def close(self) -> None:
        """Leaves the last picture on the screen, with everything in it."""
        if self._run.closed is None:
            with self._lock:
                self._run.close(self._now())
            self._live.vertical_overflow = "visible"
            self._live.stop()

    def _new_live(self) -> Live:
        return Live(get_renderable=self._picture, console=self._console, refresh_per_second=REFRESH)

    def _picture(self) -> RenderableType:
        size = self._console.size
        final = self._run.closed is not None
        frame = Frame(self._title, size.width, size.height - 1, self._unicode, final)
        with self._lock:
            return Group(*frame.lines(self._run, self._now()))

    def _lasting(self, event: Event) -> RenderableType | None:
        if isinstance(event, Failure):
            return block.failure(event, unicode=self._unicode)
        if isinstance(event, ReleasePlanned) and event.back:
            text = sentences.taking_back(event)
            return block.line(LEVEL["warning"], "taking back", text, unicode=self._unicode)
        if isinstance(event, HostProblem):
            return block.host_problem(event, unicode=self._unicode)
        if isinstance(event, HostStep) and (
            event.state in _PERMANENT_STEPS or (self._verbose and event.state != "running")
        ):
            return block.host_step(event, unicode=self._unicode)
        if isinstance(event, Note) and (event.level != "debug" or self._verbose):
            return block.line(LEVEL.get(event.level, LEVEL["info"]), event.level, event.text, unicode=self._unicode)
        return None
