"""GitHub Actions: a group per phase, an annotation per failure, plain lines inside.

What somebody must read stands outside of the groups, because they are folded.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TextIO

from llmdeploy.events import Event, Failure, HostProblem, HostStep, PhaseStarted, ReleaseEnded, ReleasePlanned
from llmdeploy.view import sentences
from llmdeploy.view.plain import PlainView
from llmdeploy.view.words import one_line


class GithubView:
    """The plain view with the commands of GitHub's log around it."""

    def __init__(self, out: TextIO, *, quiet: bool = False, verbose: bool = False) -> None:
        self._out, self._quiet = out, quiet
        self._plain = PlainView(out, quiet=quiet, verbose=verbose, guard=defused)
        self._group = False

    def on_event(self, event: Event) -> None:
        """Writes the event; closes the group before anything that must be seen."""
        if isinstance(event, PhaseStarted):
            self._end_group()
            if not self._quiet:
                self._command(f"::group::{data(event.name)}")
                self._group = True
            return
        title, message = _annotation(event)
        if message:
            self._end_group()
        self._plain.on_event(event)
        if message:
            self._command(annotation("warning" if isinstance(event, ReleasePlanned) else "error", title, message))

    def say(self, text: str) -> None:
        """Writes a line that is no event."""
        self._plain.say(text)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """There is nobody to ask here."""
        yield

    def close(self) -> None:
        """Closes the last group."""
        self._end_group()
        self._plain.close()

    def _end_group(self) -> None:
        if self._group:
            self._group = False
            self._command("::endgroup::")

    def _command(self, text: str) -> None:
        self._out.write(f"{text}\n")
        self._out.flush()


def _annotation(event: Event) -> tuple[str, str]:
    """Out: title and message for what has gone wrong, empty for everything else."""
    if isinstance(event, ReleasePlanned) and event.back:
        return "taking back", sentences.taking_back(event)
    if isinstance(event, ReleaseEnded):
        return f"release {event.number}", _stuck(event)
    if isinstance(event, Failure):
        return event.service, "\n".join(sentences.failure(event))
    if isinstance(event, HostStep) and event.state in ("failed", "unreachable"):
        return event.host, one_line(f"{event.step}: {event.detail}")
    if isinstance(event, HostProblem) and event.level == "error":
        return event.host, "\n".join(part for part in (f"{event.check}: {event.message}", event.hint) if part)
    return "", ""


def _stuck(event: ReleaseEnded) -> str:
    return "\n".join(text for title, text in sentences.went_back(event.taken_back) if title == "stuck")


def annotation(level: str, title: str, message: str) -> str:
    """Out: a workflow command, everything in it escaped so that it stays one command."""
    head = f" title={prop(title)}" if title else ""
    return f"::{level}{head}::{data(message)}"


def data(text: str) -> str:
    """Escapes the text of a workflow command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def prop(text: str) -> str:
    """Escapes a property of a workflow command."""
    return data(text).replace(":", "%3A").replace(",", "%2C")


def defused(text: str) -> str:
    """Out: the text with nothing in it that GitHub would take as a command: a container's log may hold anything."""
    lines = (line.replace("##[", "# #[") for line in text.split("\n"))
    return "\n".join(line.replace("::", ": :", 1) if line.lstrip().startswith("::") else line for line in lines)
