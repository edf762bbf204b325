"""Events as plain sentences: what the plain view, the CI view and the log say. Pure: events in, lines out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from llmdeploy.events import (
    CheckResult,
    Failure,
    HostProblem,
    HostStep,
    Note,
    ReleaseEnded,
    ReleasePlanned,
    ServiceState,
)
from llmdeploy.view.words import count, names, one_line, seconds

WIDTH = 11  # of the first column: "unreachable"
LAST_LINES = 20


def host_step(event: HostStep) -> list[str]:
    """Out: `changed     head-server  Install Docker (12 s)`; the output of a command that failed follows in lines."""
    took = f" ({seconds(event.seconds)})" if event.seconds >= 1 else ""
    first, *more = event.detail.splitlines() or [""]
    why = f": {one_line(first)}" if first else ""
    return [
        f"{event.state:<{WIDTH}}  {event.host}  {event.step}{took}{why}",
        *(f"{'':<{WIDTH}}  {line}" for line in more),
    ]


def host_problem(event: HostProblem) -> list[str]:
    """Out: what was found on a host, and what to do."""
    first = f"{event.level:<{WIDTH}}  {event.host}  {event.check}: {one_line(event.message)}"
    return [first, *([f"{'':<{WIDTH}}  {one_line(event.hint)}"] if event.hint else [])]


def service(event: ServiceState) -> str:
    """Out: `starting    head-go  0/1  wave 2  3.2 s  pulling`."""
    replicas = f"  {event.healthy}/{event.wanted}" if event.wanted else ""
    took = f"  {seconds(event.elapsed)}" if event.elapsed else ""
    why = f"  {one_line(event.detail)}" if event.detail else ""
    return f"{event.state:<{WIDTH}}  {event.name}{replicas}  wave {event.wave}{took}{why}"


def planned(event: ReleasePlanned) -> list[str]:
    """Out: the release in one line, and what is different for each service that is touched."""
    by_action: dict[str, list[str]] = {}
    for row in event.services:
        by_action.setdefault(row["action"], []).append(row["name"])
    parts = [f"{action} {names(found, 20)}" for action, found in by_action.items() if action != "unchanged"]
    same = by_action.get("unchanged", [])
    parts += [f"{len(same)} unchanged"] if same else []
    lines = [f"release {event.number}: {'; '.join(parts) or 'no services'}"]
    return lines + [f"  {row['name']}: {change}" for row in event.services for change in row["changes"]]


def check(event: CheckResult) -> str:
    """Out: `ok          tail-go:8000  12 ms`."""
    why = f"  {one_line(event.detail)}" if event.detail else ""
    return f"{'ok' if event.ok else 'failed':<{WIDTH}}  {event.name}  {event.ms:.0f} ms{why}"


def note(event: Note) -> str:
    """Out: the note, its level in front when it is a warning or an error."""
    return event.text if event.level in ("info", "debug") else f"{event.level:<{WIDTH}}  {event.text}"


def ended(event: ReleaseEnded) -> str:
    """Out: the verdict in one line."""
    return (
        f"release {event.verdict} in {seconds(event.seconds)}{': ' if event.summary else ''}{one_line(event.summary)}"
    )


def failure_head(event: Failure) -> str:
    """Out: which service, where, why."""
    where = f" on {event.host}" if event.host else ""
    return f"{event.service} failed{where}: {one_line(event.reason)}"


def failure_facts(event: Failure) -> Iterator[tuple[str, list[str]]]:
    """Out: what is known beyond the first line, as (title, lines), empty ones left out."""
    facts = (
        ("task error", [] if event.task_error in event.reason else event.task_error.splitlines()),
        ("health", event.health.splitlines()),
        (f"last {count(len(event.log[-LAST_LINES:]), 'log line')}", event.log[-LAST_LINES:]),
        ("the others", others(event.others)),
        ("what to do", event.hint.splitlines()),
    )
    yield from ((title, lines) for title, lines in facts if lines)


def others(states: Mapping[str, str]) -> list[str]:
    """In: service → state. Out: one line per state, with its services."""
    by_state: dict[str, list[str]] = {}
    for name, state in states.items():
        by_state.setdefault(state, []).append(name)
    return [f"{state}: {names(found, 20)}" for state, found in by_state.items()]


def failure(event: Failure) -> list[str]:
    """Out: the whole failure as lines of text."""
    lines = [failure_head(event)]
    for title, text in failure_facts(event):
        lines += [f"  {title}: {text[0]}"] if len(text) == 1 else [f"  {title}:", *(f"    {line}" for line in text)]
    return lines
