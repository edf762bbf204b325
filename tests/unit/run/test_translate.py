"""Ansible's events as tables, and whatever else may come."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmdeploy.events import Event, Failure, HostProblem, HostStep, Note, PhaseStarted, ReleaseEnded, ServiceState
from llmdeploy.run.reasons import failure_message, unreachable_hint, unreachable_reason
from llmdeploy.run.translate import _HANDLERS, Translator

SSH = "Task failed: Failed to connect to the host via ssh: "


def event(name: str, res: dict[str, Any] | None = None, **data: Any) -> dict[str, Any]:
    """As ansible-runner hands it over."""
    known = {"play": "Prepare", "task": "Do it", "task_action": "say", "host": "a", "duration": 1.234, "res": res or {}}
    return {"event": name, "pid": 42, "stdout": "", "event_data": {**known, **data}}


def translate(*events: dict[str, Any]) -> list[Event]:
    translator = Translator()
    return [made for raw in events for made in translator.translate(raw)]


@pytest.mark.parametrize(
    ("raw", "state", "detail"),
    [
        (event("runner_on_ok", {"changed": False}), "ok", ""),
        (event("runner_on_ok", {"changed": True}), "changed", ""),
        (event("runner_on_skipped"), "skipped", ""),
        (event("runner_on_failed", {"msg": "Task failed: Module failed: boom"}), "failed", "boom"),
        (event("runner_on_failed", {"msg": "x"}, ignore_errors=True), "ok", "an expected failure"),
        (event("runner_retry", {"attempts": 3, "retries": 30}), "running", "attempt 3 of 30"),
        (
            event("runner_on_unreachable", {"msg": f"{SSH}ssh: connect to host h port 22: No route to host"}),
            "unreachable",
            "no route to host",
        ),
    ],
)
def test_a_task_on_a_host(raw: dict[str, Any], state: str, detail: str) -> None:
    assert translate(raw) == [HostStep("a", "Prepare", "Do it", state, detail, 1.2)]


def test_a_phase_begins_with_the_first_step_in_it() -> None:
    begun = [event("runner_on_start", play=play) for play in ("Look", "Images | build", "Images | deliver", "Look")]
    phases = [made for made in translate(*begun) if isinstance(made, PhaseStarted)]
    assert phases == [PhaseStarted("Look"), PhaseStarted("Images"), PhaseStarted("Look")]


def test_lines_of_the_engine_come_once_and_in_order() -> None:
    lines = [
        {"t": 1, "kind": "service", "name": "a", "state": "starting"},
        {"t": 2, "kind": "service", "name": "a", "state": "done", "a key of the future": 1},
        {"t": 3, "kind": "a kind of the future"},
        {"t": 4, "kind": "end", "verdict": "done", "summary": "all\x1b]0;title\x07 done"},
    ]
    made = translate(
        event("runner_retry", {"lines": lines[:1], "attempts": 1}),
        event("runner_retry", {"lines": []}),
        event("runner_on_ok", {"lines": lines}),
    )
    assert made[:3] == [
        ServiceState("a", "starting"),
        ServiceState("a", "done"),
        ReleaseEnded("done", summary="all done"),
    ]
    assert [one.t for one in made[:3]] == [1, 2, 4]


def test_problems_may_come_with_a_failure_and_in_loops() -> None:
    problem = {"host": "b", "check": "ports", "level": "error", "message": "8000 is taken", "hint": "by nginx"}
    made = translate(event("runner_on_failed", {"msg": "1 problem", "results": [{"problems": [problem]}]}))
    assert made[0] == HostProblem("b", "ports", "error", "8000 is taken", "by nginx")
    assert isinstance(made[1], HostStep)


def test_the_recap_decides_what_has_failed() -> None:
    translator = Translator()
    for host in ("a", "b"):
        translator.translate(event("runner_on_failed", {"msg": "no"}, host=host))
    translator.translate({"event": "playbook_on_stats", "event_data": {"failures": {"b": 1}, "dark": {"c": 1}}})
    assert list(translator.failed) == ["b"]
    assert translator.unreachable == {"c": "unreachable"}


def test_when_the_engine_counts_as_started() -> None:
    translator = Translator()
    states = []
    for raw in (
        event("runner_on_start"),
        event("playbook_on_task_start", task_action="llmdeploy_release"),
        event("runner_on_failed", task_action="llmdeploy_release"),
        event("playbook_on_task_start", task_action="our.own.llmdeploy_release"),
        event("runner_on_ok", task_action="our.own.llmdeploy_release"),
    ):
        translator.translate(raw)
        states.append(translator.engine)
    assert states == ["no", "starting", "no", "starting", "running"]


def test_a_note_of_another_module_is_no_engine() -> None:
    seen = Translator()
    note = {"kind": "note", "level": "info", "text": "a: removed 2 images"}
    assert seen.translate(event("runner_on_ok", {"lines": [note]}, task_action="llmdeploy_prune"))[0] == Note(
        "info", "a: removed 2 images"
    )
    assert seen.engine == "no"


def test_words_of_ansible_itself_are_for_the_curious() -> None:
    translator = Translator()
    assert translator.translate({"event": "warning", "stdout": "[WARNING]: odd"}) == [Note("debug", "[WARNING]: odd")]
    translator.translate({"event": "verbose", "stdout": "[ERROR]: no such module"})
    translator.translate({"event": "verbose", "stdout": "Origin: /site.yml:4:11"})
    assert translator.errors == ["no such module (/site.yml:4:11)"]


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("ssh: connect to host 127.0.0.1 port 9: Connection refused", "connection refused"),
        ("deploy@h: Permission denied (publickey,password).", "permission denied (publickey,password)"),
        ("ssh: Could not resolve hostname no.such: Name or service not known", "host name no.such is unknown"),
        ("Connection timed out during banner exchange\r\nConnection to h port 22 timed out", "timed out after 5 s"),
        ("@@@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @@@\nHost key verification failed.", "host key changed"),
        ("Host key verification failed.", "host key not known to this machine"),
        ("Data could not be sent to remote host. Broken pipe", "the connection was closed by the other side"),
        ("something\nelse entirely", "else entirely"),
        ("", "unreachable"),
    ],
)
def test_reasons_of_ssh(message: str, reason: str) -> None:
    assert unreachable_reason(SSH + message) == reason


def test_hints_fit_their_reason() -> None:
    assert "authorized_keys" in unreachable_hint("permission denied (publickey)")
    assert not unreachable_hint("else entirely")


ITEMS = [{"failed": True, "msg": "x"}, {"msg": "fine"}]


@pytest.mark.parametrize(
    ("res", "message"),
    [
        ({"msg": "Task failed: no"}, "no"),
        ({"msg": "non-zero return code", "rc": 3, "stderr": "a\nb\nc\nd\n"}, "non-zero return code (exit 3): b\nc\nd"),
        ({"msg": "non-zero return code", "rc": 3, "stderr": "", "stdout": "why"}, "non-zero return code (exit 3): why"),
        ({"msg": "One or more items failed", "results": ITEMS}, "One or more items failed: x"),
        ({"censored": "hidden"}, "failed; its output is hidden because the task handles secrets"),
        ({}, "failed"),
    ],
)  # fmt: skip
def test_why_a_task_failed(res: dict[str, Any], message: str) -> None:
    assert failure_message(res) == message


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KEYS = ("host", "play", "task", "task_action", "duration", "failures", "dark", "ignore_errors")
LINE_KINDS = ["release", "service", "check", "failure", "end", "note"]
LINE_KEYS = ["t", "name", "state", "services", "number", "log", "others", "exit", "verdict", "text", "wave", "ok"]
line = st.fixed_dictionaries({"kind": st.sampled_from(LINE_KINDS)}, optional=dict.fromkeys(LINE_KEYS, anything))
results = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("msg", "changed", "attempts", "stderr", "rc", "censored"), anything),
        "lines": st.lists(line | anything, max_size=3) | anything,
        "problems": anything,
        "results": anything,
    },
)
raw_events = st.fixed_dictionaries(
    {"event": st.sampled_from([*_HANDLERS, "playbook_on_start", "verbose", "error", "new"])},
    optional={
        "pid": anything,
        "stdout": anything,
        "event_data": anything
        | st.fixed_dictionaries({"res": results | anything}, optional=dict.fromkeys(KEYS, anything)),
    },
)


@given(st.lists(raw_events | anything, max_size=5))
@settings(max_examples=300, deadline=None)
def test_no_event_raises(events: list[Any]) -> None:
    translator = Translator()
    for raw in events:
        for made in translator.translate(raw):
            assert isinstance(made, Event)
            text = str(made.to_json())
            assert "\x1b" not in text
            if isinstance(made, Failure):
                assert isinstance(made.log, list)
