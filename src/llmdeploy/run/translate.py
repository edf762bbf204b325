"""Ansible's events → our events. Pure: no I/O, and no event of whatever shape raises.

A play is a phase, a task is a step. Modules speak to us through two keys of their results: `lines` (progress lines of
the release engine, also in every retry of an `until` loop) and `problems` (what a check found on a host).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from llmdeploy.events import (
    E,
    Event,
    HostProblem,
    HostStep,
    Note,
    PhaseStarted,
    ReleaseEnded,
    as_float,
    as_mapping,
    as_text,
    harmless,
    map_text,
    parse_progress,
)
from llmdeploy.run.reasons import failure_message, shorten, unreachable_hint, unreachable_reason

ENGINE_START, ENGINE_FOLLOW = "llmdeploy_release", "llmdeploy_follow"


@dataclass
class Translator:
    """Turns one event after the other into ours and remembers what the outcome needs.

    `targets` says for a host what ssh is told ("deploy@head.example.com:22, key ~/.ssh/id"), for the message when it
    is unreachable. `timeout` is the connection timeout in seconds. All text goes through `redact`.
    """

    targets: Mapping[str, str] = field(default_factory=dict)
    timeout: int = 5
    redact: Callable[[str], str] = str
    engine: Literal["no", "starting", "running"] = "no"
    pid: int = 0  # of ansible-playbook
    finished: bool = False  # the recap has come
    end: ReleaseEnded | None = None
    failed: dict[str, HostStep] = field(default_factory=dict)
    unreachable: dict[str, str] = field(default_factory=dict)
    problems: list[HostProblem] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)  # what ansible-playbook itself complained about
    changed: dict[str, list[str]] = field(default_factory=dict)  # host → steps that changed something
    _phase: str = ""
    _seen: set[str] = field(default_factory=set)

    def translate(self, raw: object) -> list[Event]:
        """In: an event as ansible-runner hands it over. Out: ours, in order, with harmless text."""
        event = as_mapping(raw)
        name = as_text(event.get("event"))
        data = as_mapping(event.get("event_data"))
        if name == "playbook_on_start" and isinstance(event.get("pid"), int):
            self.pid = event["pid"]
        handler = _HANDLERS.get(name)
        made = handler(self, data) if handler else self._said(name, as_text(event.get("stdout")))
        return [self._clean(item) for item in made]

    def told(self, line: Mapping[str, Any]) -> list[Event]:
        """In: a progress line of the engine that came past the playbook. Out: as of `translate`."""
        return [self._clean(event) for event in self._lines([line])]

    # --- plays and tasks

    def _task_started(self, data: Mapping[str, Any]) -> Iterator[Event]:
        if _action(data) == ENGINE_START and self.engine == "no":
            self.engine = "starting"
        elif _action(data) == ENGINE_FOLLOW:
            self.engine = "running"
        return iter(())

    def _stats(self, data: Mapping[str, Any]) -> Iterator[Event]:
        """The recap is the truth: a failed task whose host has no failure there was rescued."""
        self.finished = True
        failures = as_mapping(data.get("failures"))
        self.failed = {host: step for host, step in self.failed.items() if host in failures}
        for host in as_mapping(data.get("dark")):
            self.unreachable.setdefault(as_text(host), "unreachable")
        return iter(())

    # --- a task on a host

    def _started(self, data: Mapping[str, Any]) -> Iterator[Event]:
        host = as_text(data.get("host"))
        phase = _phase_name(data)
        if phase and phase != self._phase:  # only now: plays in which no host does anything are never shown
            self._phase = phase
            yield PhaseStarted(phase)
        if self.failed.pop(host, None):
            yield Note("info", f"{host}: recovered from the failure above")
        yield self._step(data, "running")

    def _ok(self, data: Mapping[str, Any]) -> Iterator[Event]:
        if _action(data) == ENGINE_START:
            self.engine = "running"
        res = as_mapping(data.get("res"))
        yield from self._spoken(res)
        changed = res.get("changed") is True and _action(data) != ENGINE_FOLLOW  # its services say so themselves
        step = self._step(data, "changed" if changed else "ok")
        if changed:
            self.changed.setdefault(step.host, []).append(step.step)
        yield step

    def _skipped(self, data: Mapping[str, Any]) -> Iterator[Event]:
        yield self._step(data, "skipped")

    def _failed(self, data: Mapping[str, Any]) -> Iterator[Event]:
        res = as_mapping(data.get("res"))
        yield from self._spoken(res)
        if _action(data) == ENGINE_START and self.engine == "starting":
            self.engine = "no"
        if self.end is not None and self.end.exit:  # the engine has said why; the playbook only repeats it
            return
        if data.get("ignore_errors"):
            yield self._step(data, "ok", "an expected failure")
            return
        step = self._step(data, "failed", failure_message(res))
        self.failed[step.host] = step
        yield step

    def _unreachable(self, data: Mapping[str, Any]) -> Iterator[Event]:
        host = as_text(data.get("host"))
        message = as_text(as_mapping(data.get("res")).get("msg"))
        reason = unreachable_reason(message, self.timeout)
        tried = self.targets.get(host, "")
        hint = unreachable_hint(reason)
        detail = "".join((reason, f", tried {tried}" if tried else "", f"; {hint}" if hint else ""))
        step = self._step(data, "unreachable", detail)
        self.unreachable[step.host] = step.detail
        yield step

    def _retry(self, data: Mapping[str, Any]) -> Iterator[Event]:
        """A follower speaks in lines; any other retry is worth a word, it is why the host seems to hang."""
        res = as_mapping(data.get("res"))
        if isinstance(res.get("lines"), list):
            yield from self._spoken(res)
            return
        yield self._step(data, "running", f"attempt {as_text(res.get('attempts'))} of {as_text(res.get('retries'))}")

    # --- what results say

    def _spoken(self, res: Mapping[str, Any]) -> Iterator[Event]:
        results = res.get("results")
        for part in [res, *(results if isinstance(results, list) else [])]:
            yield from self._lines(as_mapping(part).get("lines"))
            yield from self._problems(as_mapping(part).get("problems"))

    def _lines(self, lines: object) -> Iterator[Event]:
        for line in lines if isinstance(lines, list) else []:
            key = json.dumps(line, sort_keys=True, default=str)
            event = None if key in self._seen else parse_progress(line)
            self._seen.add(key)  # a follower may repeat itself, after a lost connection for instance
            if event is None:
                continue
            event = self._clean(event)
            if not isinstance(event, Note):  # any module may have something to say
                self.engine = "running"
            if isinstance(event, ReleaseEnded):
                self.end = event
            yield event

    def _problems(self, problems: object) -> Iterator[Event]:
        for problem in problems if isinstance(problems, list) else []:
            row = as_mapping(problem)
            host, check, level, message, hint = (
                as_text(row.get(key)) for key in ("host", "check", "level", "message", "hint")
            )
            event = self._clean(HostProblem(host, check, level or "error", message, hint))
            self.problems.append(event)
            yield event

    def _said(self, name: str, stdout: str) -> Iterator[Event]:
        """Plain output of ansible-playbook; an error is kept for the case that nothing else explains the failure.

        A playbook that Ansible refuses is told in lines of no event: the error, then where it comes from.
        """
        text = stdout.strip()
        if name == "error" or text.startswith(("[ERROR]", "ERROR!")):
            self.errors.append(shorten(self._safe(text.removeprefix("[ERROR]:").removeprefix("ERROR!"))))
        elif text.startswith("Origin: ") and self.errors:
            self.errors[-1] += f" ({self._safe(text.removeprefix('Origin: '))})"
        elif name not in ("warning", "system_warning", "deprecated"):
            return
        if text:
            yield Note("debug", shorten(text))

    def _safe(self, text: str) -> str:
        return self.redact(harmless(text))

    def _clean(self, event: E) -> E:
        """The boundary: everything that leaves here, and everything kept for the outcome, has gone through this."""
        return map_text(event, self._safe)

    def _step(self, data: Mapping[str, Any], state: str, detail: str = "") -> HostStep:
        phase, task = _phase_name(data) or self._phase, as_text(data.get("task"))
        took = round(as_float(data.get("duration")), 1)
        return self._clean(HostStep(as_text(data.get("host")), phase, task, state, detail, took))


def _phase_name(data: Mapping[str, Any]) -> str:
    """ "Images | build" and "Images | deliver" are two plays and one phase."""
    return as_text(data.get("play")).split(" | ")[0].strip()


def _action(data: Mapping[str, Any]) -> str:
    return as_text(data.get("task_action")).rsplit(".", 1)[-1]


_HANDLERS: dict[str, Callable[[Translator, Mapping[str, Any]], Iterator[Event]]] = {
    "playbook_on_task_start": Translator._task_started,
    "playbook_on_stats": Translator._stats,
    "runner_on_start": Translator._started,
    "runner_on_ok": Translator._ok,
    "runner_on_skipped": Translator._skipped,
    "runner_on_failed": Translator._failed,
    "runner_on_unreachable": Translator._unreachable,
    "runner_retry": Translator._retry,
}
