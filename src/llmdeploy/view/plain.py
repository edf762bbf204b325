"""One line per change of state, no escapes: for pipes, logs, `--plain` and people who read with their ears."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TextIO

from llmdeploy.events import (
    CheckResult,
    Event,
    Failure,
    HostProblem,
    HostStep,
    Note,
    PhaseStarted,
    ReleaseEnded,
    ReleasePlanned,
    ServiceState,
)
from llmdeploy.view import sentences
from llmdeploy.view.words import clock

_BAD_STEPS = ("failed", "unreachable")
_LOUD_STEPS = (*_BAD_STEPS, "changed")


class PlainView:
    """Writes lines to `out`. `quiet`: only problems; `verbose`: also every step on every host and Ansible's warnings.

    `guard` changes each line on its way out.
    Each line begins with the time since the start; a line that says the same as the one before for the same thing is
    left out.
    """

    def __init__(
        self,
        out: TextIO,
        *,
        quiet: bool = False,
        verbose: bool = False,
        guard: Callable[[str], str] = str,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._out, self._quiet, self._verbose, self._now = out, quiet, verbose, now
        self._guard, self._began = guard, now()
        self._said: dict[
            str, tuple[tuple[object, ...] | None, set[str]]
        ] = {}  # service → state, and its details so far

    def on_event(self, event: Event) -> None:
        """Writes what is new about an event."""
        lines = list(self._lines(event))
        if lines and self._news(event, lines):
            self._write(lines)

    def say(self, text: str) -> None:
        """Writes a line that is no event."""
        self._write(text.splitlines())

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing to pause: there is no live display."""
        yield

    def close(self) -> None:
        """Writes what is left to write."""
        with contextlib.suppress(OSError, ValueError):
            self._out.flush()

    def _write(self, lines: Iterable[str]) -> None:
        stamp = f"{clock(self._now() - self._began):>6}"
        for index, line in enumerate(lines):
            self._out.write(self._guard(f"{stamp if index == 0 else '':>6}  {line}".rstrip()) + "\n")
        self._out.flush()

    def _lines(self, event: Event) -> Iterable[str]:
        if isinstance(event, Failure):
            return sentences.failure(event)
        if isinstance(event, HostProblem):
            return sentences.host_problem(event)
        if isinstance(event, HostStep):
            return sentences.host_step(event) if self._wants(event) else []
        if isinstance(event, Note):
            return [sentences.note(event)] if self._wants_note(event) else []
        return [] if self._quiet and not _bad(event) else self._of_release(event)

    def _of_release(self, event: Event) -> Iterable[str]:
        if isinstance(event, PhaseStarted):
            return [f"== {event.name}"]
        if isinstance(event, ServiceState):
            silent = ("waiting", "unchanged") if event.back else ("waiting",)
            return (
                [] if event.state in silent and not event.detail and not self._verbose else [sentences.service(event)]
            )
        if isinstance(event, ReleasePlanned):
            return sentences.planned(event)
        if isinstance(event, CheckResult):
            return [sentences.check(event)]
        return [sentences.ended(event)] if isinstance(event, ReleaseEnded) else []

    def _wants(self, event: HostStep) -> bool:
        if self._verbose:
            return event.state != "running" or bool(event.detail)
        return event.state in (_BAD_STEPS if self._quiet else _LOUD_STEPS)

    def _wants_note(self, event: Note) -> bool:
        if event.level == "debug":
            return self._verbose
        return event.level in ("warning", "error") or not self._quiet

    def _news(self, event: Event, lines: list[str]) -> bool:
        """The same state of a service later is no news, nor is a detail that it has had in this state before."""
        if not isinstance(event, ServiceState):
            return True
        state = (event.back, event.state, event.healthy, event.wanted)
        known, details = self._said.get(event.name, (None, set()))
        if known == state and event.detail in details:
            return False
        self._said[event.name] = (state, {*details, event.detail} if known == state else {event.detail})
        return bool(lines)


def _bad(event: Event) -> bool:
    """Whether it is worth a line where only problems are told."""
    if isinstance(event, CheckResult):
        return not event.ok
    if isinstance(event, ServiceState):
        return event.back and event.state == "failed"
    return isinstance(event, ReleasePlanned) and event.back
