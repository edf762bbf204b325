"""Results and errors of verbs, as people and programs get them."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest

from llmdeploy.errors import ConfigError, Exit, LlmdeployError, Problem, UnreachableError
from llmdeploy.view import show_error, show_outcome
from llmdeploy.view.kinds import KINDS
from llmdeploy.view.words import short_image

from . import opened, releases, secrets, trust, upkeep

CHECKS = [
    {"name": "tail-go:8000", "ok": True, "ms": 12.4, "detail": ""},
    {"name": "chat", "ok": False, "ms": 5000.0, "detail": "HTTP 503\nbusy"},
]
PROBLEMS = [{"host": "ui-server", "check": "disk", "level": "error", "message": "2 GB free", "hint": "make room"}]
DATA: dict[str, dict[str, Any]] = {
    "plan": {
        "hosts": [
            {"name": "head-server", "address": "head.example.com", "state": "no Docker", "todo": ["install Docker"]},
            {"name": "ui-server", "address": "ui.example.com", "state": "Docker 28.5.2", "todo": []},
        ],
        "services": [
            {"name": "gateway", "wave": 3, "action": "change", "changes": ["image a → b", "replicas 1 → 2"]},
            {"name": "tail-go", "wave": 4, "action": "create", "changes": []},
            {"name": "billing", "wave": 1, "action": "unchanged", "changes": []},
        ],
        "orphans": ["old-one"], "problems": PROBLEMS, "changes": True, "on": 5,
        "drift": [
            {"service": "gateway", "kind": "changed", "then": "", "changes": [
                {"what": "replicas 2 → 3", "then": "goes back"}, {"what": "env LOG added", "then": "stays"},
            ]},
            {"service": "auth", "kind": "removed", "then": "is made again", "changes": []},
            {"service": "mine", "kind": "added", "then": "stays", "changes": []},
            {"service": "theirs", "kind": "foreign", "then": "stays", "changes": []},
        ],
        "edge": {"from": "aaaa", "to": "bbbb", "lines": ["+  maxconn 200"]},
    },
    "status": {
        "nodes": [{
            "name": "n1", "state": "ready", "availability": "drain", "role": "leader", "address": "10.0.0.1",
            "docker": "28.5.2", "groups": ["head"],
        }],
        "services": [
            {
                "name": "gateway", "group": "tail", "wanted": 2, "healthy": 1, "state": "degraded", "hosts": ["n1"],
                "detail": "task 2: no suitable node", "image": "sha256:0123456789abcdef0123", "ports": [8000],
            },
        ],
        "missing": ["billing"], "orphans": [], "release": {"number": 7, "verdict": "failed", "user": "eva"},
        "on": {"number": 4, "source": 6, "user": "ana", "reason": "why"}, "open": None,
        "running": {"action": "deploy", "user": "ben", "host": "laptop", "started": "18:00", "silent": 0},
    },
    "verify": {"checks": CHECKS, "asked_from": "tail-server", "failed": 1},
    "doctor": {"hosts": [{"name": "head-server"}, {"name": "ui-server"}], "problems": PROBLEMS},
    "config": {"values": [{"key": "services.gateway.replicas", "value": 3, "origin": "environments/dev.yml:4"}]},
    "environments": {
        "environments": [{"name": "dev", "inventory": "inventory/dev.ini", "settings": "environments/dev.yml"}],
    },
    "validate": {"environment": "dev", "hosts": 1, "services": 3, "waves": [["a", "b"], ["c"]]},
    "init": {"folder": "/work/x", "written": ["inventory/dev.ini"]},
    "deploy": {
        "environment": "dev", "verdict": "done", "seconds": 31.2, "log": "/logs/1.log",
        "changed": {"n1": ["Install Docker"]},
        "release": {"changed": ["gateway"], "done": ["gateway", "billing"], "untouched": []}, "unreachable": {},
        "addresses": [{"service": "tail-go", "url": "http://10.0.0.1:8000"}],
    },
    **releases.DATA,
    **upkeep.DATA,
    **secrets.DATA,
    **trust.DATA,
    **opened.DATA,
}  # fmt: skip
EXPECTED = {
    "plan": [
        "head-server  head.example.com  no Docker      install Docker", "   3  ~ change  gateway  image a → b",
        "replicas 1 → 2", "unchanged: billing\norder: gateway → tail-go\n",
        "not in the catalogue any more: old-one: stays (removed with --remove-orphans)",
        "✗ error: ui-server: disk: 2 GB free", "2 services and 1 host to change (exit code 10).",
        "service    changed by hand since release 5         with this\n",
        "~ gateway  replicas 2 → 3                          goes back\n",
        "           env LOG added                           stays\n",
        "- auth     removed                                 is made again\n",
        "+ mine     made by no release                      stays\n",
        "! theirs   somebody else's service on our network  stays\n",
        "edge configuration: aaaa → bbbb\n  +  maxconn 200\n",
    ],
    "status": [
        "n1    ✓ ready, drain  leader  10.0.0.1  28.5.2  head",
        "gateway  ! degraded  1/2      n1     8000   0123456789ab",
        "billing  ✗ missing", "gateway: task 2: no suitable node", "on release 4, by ana (why)\n",
        "last release 7: failed, by eva\n", "▸ under way: deploy, by ben on laptop at 18:00\n",
    ],
    "verify": [
        "tail-go:8000  ✓ ok      12 ms", "chat          ✗ failed  5000 ms  HTTP 503 busy",
        "1 of 2 checks failed, asked from tail-server",
    ],
    "doctor": [
        "✓ head-server: fit", "✗ ui-server: 1 problem", "  ✗ error: disk: 2 GB free", "make room",
        "1 error, 0 warnings",
    ],
    "config": ["services.gateway.replicas  3      environments/dev.yml:4"],
    "environments": ["dev          inventory/dev.ini  environments/dev.yml"],
    "validate": ["dev: valid, 3 services on 1 host", "   1  a, b", "   2  c"],
    "init": ["1 file written to /work/x", "  inventory/dev.ini", "next: llmdeploy dev secrets init, then llmdeploy"],
    **releases.EXPECTED,
    **upkeep.EXPECTED,
    **secrets.EXPECTED,
    **trust.EXPECTED,
    **opened.EXPECTED,
    "deploy": [
        "✓ dev: deployed in 31 s", "changed  gateway", "on n1    Install Docker", "http://10.0.0.1:8000", "/logs/1.log",
    ],
}  # fmt: skip


class Unicode(io.StringIO):
    """A stream that says what it can."""

    encoding = "utf-8"


def shown(kind: str, data: dict[str, Any], **more: Any) -> tuple[str, str]:
    out, err = Unicode(), Unicode()
    show_outcome(f"dev {kind}", kind, data, out=out, err=err, **more)
    return out.getvalue(), err.getvalue()


@pytest.mark.parametrize("kind", sorted(DATA))
def test_what_people_see(kind: str) -> None:
    text, err = shown(kind, DATA[kind])
    for line in EXPECTED[kind]:
        assert line in text
    assert "\x1b" not in text
    assert not [line for line in text.splitlines() if line != line.rstrip()]
    assert err == ""


def test_every_kind_is_tested() -> None:
    assert set(KINDS) - {"attach"} == set(DATA)


def test_without_unicode_there_are_signs_in_ascii() -> None:
    out = io.StringIO()
    show_outcome("dev verify", "verify", DATA["verify"], out=out, err=out)
    assert "+ ok" in out.getvalue()
    assert "x failed" in out.getvalue()


def test_what_prune_has_removed_or_not() -> None:
    text, _ = shown("prune", {**upkeep.PRUNED, "removed": True})
    assert "✓ head-server  2       1.2 GB  llmdeploy/demo:old, bbbbbbbbbbbb\n" in text
    assert "freed" in text
    text, _ = shown("prune", {"environment": "dev", "changes": False, "hosts": [], "configs": [], "removed": False})
    assert text == "dev: nothing to remove, every image is needed, in use, or somebody else's\n"


def test_a_secret_is_shown_to_the_letter_and_on_a_terminal_on_a_line_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Terminal(Unicode):
        def isatty(self) -> bool:
            return True

    monkeypatch.setenv("TERM", "xterm")
    value = "[bold]a  " + "long " * 60 + " \t"
    assert shown("secret", {"name": "a", "value": value})[0] == value
    assert shown("secret", {"name": "a", "values": {"a": "1\n", "a.pub": "2\n"}})[0] == "1\n2\n"
    for text in (value, f"{value}\n"):
        out = Terminal()
        show_outcome("dev secrets get", "secret", {"name": "a", "value": text}, out=out)
        assert out.getvalue() == f"{value}\n"


def test_a_lock_that_nobody_holds() -> None:
    text, _ = shown("unlock", {"environment": "dev", "holder": None, "by": "", "recorded": 0})
    assert text == "dev: nobody holds the lock\n"


def test_a_plan_without_changes() -> None:
    text, _ = shown("plan", {"hosts": [], "services": [DATA["plan"]["services"][-1]], "changes": False})
    assert "Nothing to change." in text


def test_drift_that_a_deploy_leaves_alone_is_shown_and_no_change() -> None:
    drift = [{"service": "theirs", "kind": "foreign", "then": "stays", "changes": []}]
    text, _ = shown("plan", {"hosts": [], "services": [], "changes": False, "drift": drift, "on": 5})
    assert text.startswith("service   changed by hand since release 5         with this\n! theirs ")
    assert text.endswith("Nothing to change.\n")


def test_the_plan_of_a_rollback_says_where_it_leads() -> None:
    rows = [DATA["plan"]["services"][0]]
    text, _ = shown("plan", {"action": "rollback", "from": 14, "to": 12, "services": rows, "changes": True})
    assert text.startswith("rollback: release 14 → release 12\n")
    assert text.endswith("1 service and 0 hosts to change.\n")


STACK: dict[str, Any] = {"nodes": [], "services": [], "missing": [], "orphans": [], "environment": "dev"}


def test_a_status_before_the_first_release() -> None:
    none = dict.fromkeys(("release", "on", "open", "running"))
    assert shown("status", {**STACK, **none})[0].rstrip().endswith("no release yet")


def test_a_status_with_a_release_that_was_left_open() -> None:
    row = {**releases.ROW, "number": 8, "open": True, "verdict": "running"}
    data = {"release": {"number": 8, "verdict": "running"}, "on": {"number": 7}, "open": row, "running": None}
    text, _ = shown("status", {**STACK, **data})
    assert "on release 7\n! release 8 was left open by ana on laptop (deploy, since 2026-11-23 " in text
    assert "`llmdeploy dev deploy` goes on from it, `llmdeploy dev rollback` takes it back" in text
    assert "last release" not in text


def test_a_newer_release_that_failed_and_is_not_taken_back() -> None:
    line = (
        "! a newer release failed and is not taken back: `llmdeploy dev deploy` once it is corrected, "
        "`llmdeploy dev rollback` brings everything to release 4\n"
    )
    row = {**releases.ROW, "verdict": "failed"}
    text, _ = shown("history", {"environment": "dev", "on": 4, "settled": False, "open": None, "releases": [row]})
    assert text.endswith(f"◀ the stack is on release 4\n{line}")
    data = {"release": {"number": 7, "verdict": "failed"}, "on": {"number": 4, "settled": False}, "open": None}
    assert shown("status", {**STACK, **data, "running": None})[0].endswith(f"last release 7: failed\n{line}")


def test_a_release_under_way_is_no_failed_one() -> None:
    row = {**releases.ROW, "number": 8, "verdict": "running"}
    data = {"environment": "dev", "on": 7, "settled": False, "open": None, "running": 8, "releases": [row]}
    assert shown("history", data)[0].endswith("◀ the stack is on release 7\n▸ release 8 is under way\n")


def test_a_run_that_has_not_been_heard_of() -> None:
    lock = {"action": "deploy", "user": "ana", "host": "laptop", "silent": 131}
    newest = {"number": 8, "verdict": "running"}
    text, _ = shown("status", {**STACK, "release": newest, "on": {"number": 7}, "open": None, "running": lock})
    assert "on release 7\n" in text
    assert "last release" not in text
    assert "! the lock is held, by ana on laptop, silent for 2:11: the next run takes it over\n" in text


def test_after_a_rollback_the_newest_release_is_no_news() -> None:
    data = {"release": {"number": 6, "verdict": "good"}, "on": {"number": 4, "source": 6}, "open": None}
    assert "last release" not in shown("status", {**STACK, **data, "running": None})[0]


def test_a_deploy_that_failed_ends_with_the_error_and_the_next_step() -> None:
    data = {**DATA["deploy"], "verdict": "unhealthy"}
    text, err = shown("deploy", data, exit_code=Exit.UNHEALTHY, errors=[{"message": "head-go", "hint": "status"}])
    assert "✗ dev: not healthy in 31 s" in text
    assert "http://" not in text
    assert err == "Error: head-go\nHint: status\n"


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ({"action": "rollback", "target": 4, "verdict": "done"}, "✓ dev: rolled back to release 4 in 31 s (release 7)"),
        ({"action": "abort", "target": 4, "verdict": "done"}, "✓ dev: taken back to release 4 in 31 s (release 7)"),
        ({"action": "update", "verdict": "done"}, "✓ dev: updated in 31 s (release 7)"),
        ({"job": {"action": "scale"}, "verdict": "done"}, "✓ dev: scaled in 31 s (release 7)"),
        (
            {"verdict": "rolled-back", "back": {"to": 4, "verified": True, "services": ["a"]}},
            "✗ dev: failed in 31 s (release 7); everything is back on release 4, verified healthy",
        ),
        (
            {"verdict": "unhealthy", "back": {"to": 4, "verified": False, "services": ["a"]}},
            "✗ dev: not healthy in 31 s (release 7); everything is back on release 4, but not healthy",
        ),
        (
            {"verdict": "unhealthy", "back": {"to": 4, "verified": False}},
            "✗ dev: not healthy in 31 s (release 7); taking back to release 4 failed",
        ),
        (
            {"verdict": "unhealthy", "back": {"to": 4, "verified": True}},
            "✗ dev: not healthy in 31 s (release 7); nothing had been changed",
        ),
        (
            {"verdict": "unhealthy", "back": {"to": 4, "stuck": [{"service": "b"}], "services": ["b"]}},
            "✗ dev: not healthy in 31 s (release 7); not everything could be taken back to release 4",
        ),
        (
            {"verdict": "stopped", "back": {"to": 4, "verified": True, "removed": ["a"]}},
            "! dev: stopped (release 7); everything is back on release 4, verified healthy",
        ),
    ],
)
def test_how_a_release_ended(data: dict[str, Any], line: str) -> None:
    release = {"number": 7, "changed": ["a"], "taken_back": data.get("back")}
    text, _ = shown("deploy", {"environment": "dev", "seconds": 31.2, "release": release, **data})
    assert text.splitlines()[1] == line
    assert "back     b" not in text


def test_an_unchanged_deploy() -> None:
    text, _ = shown("deploy", {"environment": "dev", "verdict": "unchanged", "services": [], "checks": CHECKS[:1]})
    assert "✓ dev: nothing to change" in text
    assert "1 of 1 check ok" in text


def test_no_release_yet() -> None:
    text, _ = shown("history", {"environment": "dev", "on": 0, "open": None, "releases": [], "left_off": 0})
    assert text == "no release yet\n"


def test_two_releases_that_are_the_same() -> None:
    same = {"from": 4, "to": 4, "services": [], "stack_changes": [], "edge": {"lines": []}}
    assert shown("difference", same)[0] == "release 4 → release 4\nno difference\n"


def test_the_first_release_is_compared_with_nothing() -> None:
    text, _ = shown("release", {**DATA["release"], "against": None, "removed": []})
    assert "before     nothing in the history" in text
    assert "replicas 1 → 3" not in text


def test_checks_are_not_told_twice() -> None:
    _, err = shown("verify", DATA["verify"], exit_code=Exit.UNHEALTHY, errors=[{"message": "chat: HTTP 503"}])
    assert err == ""


@pytest.mark.parametrize(
    ("code", "status"),
    [(Exit.DONE, "success"), (Exit.CHANGES, "changes"), (Exit.FAILED, "failed"), (Exit.USAGE, "failed")],
)
def test_the_envelope(code: Exit, status: str) -> None:
    text, err = shown("plan", {"a": 1}, json=True, exit_code=code, errors=[{"message": "m"}])
    assert text.count("\n") == 1
    assert json.loads(text) == {
        "llmdeploy": 1, "command": "dev plan", "status": status, "exit_code": int(code), "data": {"a": 1},
        "errors": [{"message": "m", "hint": ""}],
    }  # fmt: skip
    assert err == ""


def test_the_schema_is_printed_as_it_is() -> None:
    text, _ = shown("schema", {"$schema": "x"})
    assert json.loads(text) == {"$schema": "x"}


def test_a_kind_nobody_drew_a_table_for() -> None:
    text, _ = shown("new", {"a": {"b": 1}, "c": "d"})
    assert json.loads(text) == {"a": {"b": 1}, "c": "d"}


# --- errors


def error(problem: LlmdeployError, **more: Any) -> tuple[str, str]:
    out, err = Unicode(), Unicode()
    show_error("dev deploy", problem, out=out, err=err, **more)
    return out.getvalue(), err.getvalue()


def test_an_error_and_its_hint() -> None:
    out, err = error(UnreachableError("head-server: no route\x1b[2J", hint="is it up?"))
    assert (out, err) == ("", "Error: head-server: no route\nHint: is it up?\n")


def test_an_error_for_programs() -> None:
    out, err = error(UnreachableError("no route", hint="up?", details={"host": "a"}), json=True)
    assert json.loads(out)["errors"] == [{"message": "no route", "hint": "up?", "host": "a"}]
    assert (json.loads(out)["status"], json.loads(out)["exit_code"]) == ("unreachable", 5)
    assert err == ""


def test_problems_of_the_configuration_by_file_and_line() -> None:
    problems = [
        Problem("b.yml", 9, "x", "", "odd"),
        Problem("a.yml", 12, "services.gatewy", "1", "unknown key", "gateway?"),
        Problem("a.yml", 3, "defaults", "", "broken"),
    ]
    _, err = error(ConfigError(problems))
    assert err.splitlines() == [
        "Error: 3 problems in the configuration; nothing was contacted or changed", "", "a.yml",
        "  a.yml:3: defaults — broken", "  a.yml:12: services.gatewy = 1 — unknown key (gateway?)", "", "b.yml",
        "  b.yml:9: x — odd",
    ]  # fmt: skip


def test_github_gets_annotations(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    _, err = error(LlmdeployError("it\n::set-env::x", hint="h"))
    assert err.splitlines() == [
        "Error: it",
        ": :set-env::x",
        "Hint: h",
        "::error title=llmdeploy::it%0A: :set-env::x%0Ah",
    ]


def test_images_are_short() -> None:
    assert short_image("sha256:0123456789abcdef") == "0123456789ab"
    assert short_image("redis:7@sha256:0123456789abcdef") == "redis:7@0123456789ab"
    assert short_image("redis:7") == "redis:7"
