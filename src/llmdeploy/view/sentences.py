"""Events as plain sentences: what the plain view, the CI view and the log say. Pure: events in, lines out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

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
from llmdeploy.view.words import count, names, one_line, seconds, state_of

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
    word, _ = state_of(event.state, back=event.back)
    return f"{word:<{WIDTH}}  {event.name}{replicas}  wave {event.wave}{took}{why}"


def planned(event: ReleasePlanned) -> list[str]:
    """Out: the release in one line, and what is different for each service that is touched."""
    if event.back:
        return [f"{'taking back':<{WIDTH}}  {taking_back(event)}"]
    by_action: dict[str, list[str]] = {}
    for row in event.services:
        by_action.setdefault(row["action"], []).append(row["name"])
    parts = [f"{action} {names(found, 20)}" for action, found in by_action.items() if action != "unchanged"]
    same = by_action.get("unchanged", [])
    parts += [f"{len(same)} unchanged"] if same else []
    lines = [f"release {event.number}: {'; '.join(parts) or 'no services'}"]
    told = [row for row in event.services if row["action"] == "change"]
    return lines + [f"  {row['name']}: {change}" for row in told for change in row["changes"]]


def taking_back(event: ReleasePlanned) -> str:
    """Out: `everything back to release 4: gateway, head-go; removing new-one`."""
    rows = [row for row in event.services if row["action"] != "unchanged"]
    back = names((row["name"] for row in rows if row["action"] != "remove"), 20)
    gone = names((row["name"] for row in rows if row["action"] == "remove"), 20)
    what = "; ".join(part for part in (back, f"removing {gone}" if gone else "") if part)
    return f"everything back to release {event.to}{': ' if what else ''}{what}"


def check(event: CheckResult) -> str:
    """Out: `ok          tail-go:8000  12 ms`."""
    why = f"  {one_line(event.detail)}" if event.detail else ""
    return f"{'ok' if event.ok else 'failed':<{WIDTH}}  {event.name}  {event.ms:.0f} ms{why}"


def note(event: Note) -> str:
    """Out: the note, its level in front when it is a warning or an error."""
    return event.text if event.level in ("info", "debug") else f"{event.level:<{WIDTH}}  {event.text}"


def ended(event: ReleaseEnded) -> str:
    """Out: the verdict in one line."""
    name = f"release {event.number}" if event.number else "release"
    why = one_line(event.summary) or way_back(event.taken_back)
    return f"{name} {event.verdict.replace('-', ' ')} in {seconds(event.seconds)}{': ' if why else ''}{why}"


def way_back(taken_back: Mapping[str, Any] | None) -> str:
    """In: `taken_back` of an end line. Out: how it went, in a few words; nothing where nothing was taken back."""
    if taken_back is None:
        return ""
    to, moved = taken_back.get("to"), [*(taken_back.get("services") or []), *(taken_back.get("removed") or [])]
    if taken_back.get("stuck"):
        return f"not everything could be taken back to release {to}"
    if taken_back.get("verified"):
        return f"everything is back on release {to}, verified healthy" if moved else "nothing had been changed"
    return f"everything is back on release {to}, but not healthy" if moved else f"taking back to release {to} failed"


def went_back(taken_back: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    """In: `taken_back` of an end line. Out: its services as (title, text): back, removed, and each that is stuck."""
    back = taken_back or {}
    stuck = [one["service"] for one in back.get("stuck") or []]
    for title in ("services", "removed"):
        if found := [name for name in back.get(title) or [] if name not in stuck]:
            yield ("back" if title == "services" else title), names(found, 20)
    for one in back.get("stuck") or []:
        runs, wanted, reason = (one_line(str(one.get(key) or "")) for key in ("runs", "wanted", "reason"))
        yield "stuck", f"{one['service']} runs {runs or '?'}; wanted: {wanted or '?'}{f' ({reason})' if reason else ''}"


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
