"""Progress lines and text of unknown origin."""

from __future__ import annotations

import json

import pytest

from llmdeploy.events import (
    CheckResult,
    Event,
    Failure,
    HostStep,
    Note,
    ReleaseEnded,
    ReleasePlanned,
    ServiceState,
    harmless,
    parse_progress,
)

PLANNED = {"name": "a", "wave": 1, "action": "create", "changes": ["b"]}
EMPTY = {"to": 0, "verified": False, "services": [], "removed": [], "seconds": 0.0, "stuck": []}
NOTHING = {"service": "", "runs": "", "wanted": "", "reason": ""}
STUCK = {"service": "b", "runs": "release 7", "wanted": "release 4", "reason": "no \x1b[1mnode"}
BACK = {"to": 4, "verified": True, "services": ["a"], "removed": ["n"], "seconds": 6.5, "stuck": [STUCK], "new": 1}
CLEAN = {
    "to": 4, "verified": True, "services": ["a"], "removed": ["n"], "seconds": 6.5,
    "stuck": [{**STUCK, "reason": "no node"}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("line", "event"),
    [
        (
            {"kind": "release", "state": "started", "id": "x", "number": 7, "services": [PLANNED, {}]},
            ReleasePlanned(7, [PLANNED], "x"),
        ),
        (
            {"kind": "release", "state": "taking-back", "number": 7, "to": 4, "services": [PLANNED], "orphans": ["o"]},
            ReleasePlanned(7, [PLANNED], "", "taking-back", 4, ["o"]),
        ),
        ({"kind": "service", "name": "a", "state": "done", "back": True}, ServiceState("a", "done", back=True)),
        ({"kind": "service", "name": "a", "state": "done", "wave": "2", "elapsed": "x"}, ServiceState("a", "done", 2)),
        ({"kind": "check", "name": "chat", "ok": True, "ms": 41.5}, CheckResult("chat", True, 41.5)),
        (
            {"kind": "failure", "service": "a", "reason": "r", "log": "x\ny", "others": {"b": "done"}},
            Failure("a", "r", log=["x", "y"], others={"b": "done"}),
        ),
        ({"kind": "end", "verdict": "done", "exit": 0, "done": ["a"]}, ReleaseEnded("done", done=["a"])),
        (
            {"kind": "end", "verdict": "rolled-back", "exit": 6, "number": 7, "taken_back": BACK, "dropped": [1, "2"]},
            ReleaseEnded("rolled-back", 6, number=7, taken_back=CLEAN, dropped=[1, 2]),
        ),
        (
            {"kind": "end", "verdict": "failed", "taken_back": {"stuck": [None, "x"], "services": 3}},
            ReleaseEnded("failed", taken_back={**EMPTY, "stuck": [NOTHING, NOTHING]}),
        ),
        ({"kind": "end", "verdict": "failed", "taken_back": [1]}, ReleaseEnded("failed")),
        ({"kind": "note", "text": "hm"}, Note("info", "hm")),
        ({"kind": "release", "state": "of the future"}, None),
        ({"kind": "service", "name": "a"}, None),
        ({"kind": "of the future"}, None),
        ("no line", None),
        (None, None),
    ],
)  # fmt: skip
def test_progress_lines(line: object, event: Event | None) -> None:
    assert parse_progress(line) == event


def test_an_event_keeps_its_moment_and_becomes_data() -> None:
    event = parse_progress({"t": 17.25, "kind": "check", "name": "a", "ok": False, "ms": float("nan")})
    assert event is not None
    assert event.to_json() == {"t": 17.25, "kind": "check", "name": "a", "ok": False, "ms": 0.0, "detail": ""}
    assert json.loads(json.dumps(HostStep("a", "Look", "Read", "ok").to_json()))["kind"] == "host"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("plain äöü ✓ 中文\tand\nlines", "plain äöü ✓ 中文\tand\nlines"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;a title\x07after", "after"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b[2J\x1b[Hgone\r\nnext\rover", "gone\nnextover"),
        ("\x9b31mC1\x07\x00", "31mC1"),
        ("safe\u202etxt.exe", "safetxt.exe"),
        ("\x1b", ""),
    ],
)
def test_nothing_a_terminal_acts_on_is_left(text: str, left: str) -> None:
    assert harmless(text) == left
