"""The verbs that change something: what they refuse before any host is asked, and the words they end with."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmdeploy.cli.ending import next_step, release_error
from llmdeploy.cli.running import Told
from llmdeploy.errors import Exit
from llmdeploy.events import Failure, ReleaseEnded, ReleasePlanned
from tests.unit.cli.conftest import Call

WRITING = ["deploy", "update", "rollback", "scale web=2"]


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        ("rollback 3 --steps 2", "either a release or --steps", "llmdeploy staging rollback 3"),
        ("scale web", "web: SERVICE=N is wanted", "gateway=3"),
        ("scale web=0", "web=0: SERVICE=N is wanted", ""),
        ("scale web=two", "SERVICE=N is wanted", ""),
        ("scale web=2 web=3", "web is named twice", ""),
        ("update --image web", "--image web: SERVICE=REF is wanted", "gateway=registry/gateway:1.4"),
        ("update --image wep=x:1", "there is no service 'wep'", "did you mean `web`?"),
        *((f"{words} --limit-time soon", "--limit-time soon", "") for words in WRITING),
        *((f"{words} --wait soon", "--wait soon", "") for words in WRITING),
    ],
)
def test_what_is_wrong_is_told_before_any_host_is_asked(
    call: Call, project: Path, no_ssh: Callable[[], bool], words: str, message: str, hint: str
) -> None:
    made = call("staging", *words.split(), "--json").envelope
    (error,) = made["errors"]
    assert (made["exit_code"], made["status"]) == (2, "failed"), error
    assert message in error["message"]
    assert hint in error["hint"]
    assert no_ssh()


@pytest.mark.parametrize("words", WRITING)
def test_production_asks_before_each_of_them(call: Call, project: Path, no_ssh: Callable[[], bool], words: str) -> None:
    said = call("production", *words.split())
    assert said.code == 2
    assert "production asks before every change" in said.err
    assert f"Hint: llmdeploy production {words.split(maxsplit=1)[0]} --yes" in said.err
    assert no_ssh()


def test_settings_that_cannot_be_read_may_still_say_that_they_want_to_be_asked(
    call: Call, project: Path, no_ssh: Callable[[], bool]
) -> None:
    (project / "environments" / "staging.yml").write_text("confirm: true\nservices: {web: {prots: []}}\n")
    said = call("staging", "rollback")
    assert said.code == 2
    assert "staging asks before every change" in said.err
    assert no_ssh()


def test_an_image_given_by_name_sets_a_build_folder_aside(
    call: Call, project: Path, no_ssh: Callable[[], bool]
) -> None:
    """It gets as far as the hosts: neither the configuration nor the option is refused."""
    (project / "app").mkdir()
    (project / "app" / "Dockerfile").write_text("FROM scratch\n")
    (project / "environments" / "staging.yml").write_text("services: {web: {build: app}}\n")
    made = call("staging", "update", "--image", "web=registry.example/web:1.4", "--image", "edge=proxy:2", "--json")
    assert made.code == 5, made
    assert not no_ssh()


def test_a_service_that_is_not_there_is_told_when_the_releases_are_known(call: Call, project: Path) -> None:
    said = call("staging", "update", "--help")
    assert "[SERVICE]..." in said.out or "[SERVICE]…" in said.out
    assert "--image SERVICE=REF" in said.out


# --- the words at the end

JOB = {"environment": "dev", "on_failure": "take-back", "target": 0}
FAILURE = Failure("head-go", "it crashed: exit code 3", "head-server")
BACK: dict[str, Any] = {
    "to": 4, "verified": True, "services": ["head-go", "gateway"], "removed": ["new-one"], "seconds": 6.0, "stuck": [],
}  # fmt: skip
STUCK = {"service": "billing", "runs": "release 5, image sha256:1a2b", "wanted": "release 4", "reason": "never healthy"}


def told(*failures: Failure) -> Told:
    """What a run has told of failures, those of the way back included."""
    found = Told(lambda _: None, [])
    found(ReleasePlanned(5))
    found.failures.extend(failures)
    return found


def test_6_says_why_and_what_is_back() -> None:
    end = ReleaseEnded("rolled-back", 6, "head-go is not healthy", taken_back=BACK)
    error = release_error(end, told(FAILURE), JOB)
    assert error["message"] == (
        "head-go failed on head-server: it crashed: exit code 3\n"
        "Everything is back on release 4, healthy and verified: head-go, gateway, new-one (removed again)."
    )


def test_7_after_a_failed_way_back_says_what_runs_where_and_what_to_type() -> None:
    back = {**BACK, "verified": False, "stuck": [STUCK]}
    error = release_error(ReleaseEnded("unhealthy", 7, "…", taken_back=back), told(FAILURE), JOB)
    assert error["message"].splitlines()[1:] == [
        "taking back to release 4 failed:",
        "  billing runs release 5, image sha256:1a2b, wanted is release 4: never healthy",
    ]
    assert error["hint"] == "llmdeploy dev rollback 4"


def test_4_says_who_else_wrote_what_and_what_to_look_at() -> None:
    theirs = Failure("billing", "billing was changed by somebody else during this release (replicas 1 → 2)", "tail")
    error = release_error(ReleaseEnded("conflict", 4, "billing: failed"), told(theirs), JOB)
    assert "changed by somebody else during this release (replicas 1 → 2)" in error["message"]
    assert error["hint"] == "llmdeploy dev plan shows what is different now"
    error = release_error(ReleaseEnded("conflict", 4, "billing: failed", taken_back=BACK), told(theirs), JOB)
    assert "Everything is back on release 4" in error["message"]
    assert error["hint"] == "llmdeploy dev plan shows what is different now"
    first = ReleaseEnded("conflict", 4, "billing: failed; this is the first release: there is nothing to go back to")
    assert "there is nothing to go back to" in release_error(first, told(theirs), JOB)["message"]


def test_7_kept_for_looking_names_the_way_back() -> None:
    error = release_error(ReleaseEnded("unhealthy", 7, "…"), told(FAILURE), {**JOB, "on_failure": "keep"})
    assert error["hint"] == "kept for looking: llmdeploy dev status; llmdeploy dev rollback takes it back"


def test_7_of_a_rollback_that_got_only_so_far_can_be_tried_again() -> None:
    job = {**JOB, "on_failure": "go-on", "target": 3}
    error = release_error(ReleaseEnded("unhealthy", 7, "…"), told(FAILURE), job)
    assert "llmdeploy dev rollback 3 tries again" in error["hint"]


def test_7_of_a_first_release_says_that_there_is_nothing_to_go_back_to() -> None:
    end = ReleaseEnded("unhealthy", 7, "a is not healthy; this is the first release: there is nothing to go back to")
    for found in (told(), told(FAILURE)):
        assert release_error(end, found, JOB)["message"].count("this is the first release: there is nothing") == 1


def test_failures_of_the_way_back_are_not_the_reason() -> None:
    found = Told(lambda _: None, [])
    for event in (ReleasePlanned(5), FAILURE, ReleasePlanned(5, state="taking-back", to=4), Failure("billing", "x")):
        found(event)
    assert [one.service for one in found.failures] == ["head-go"]


@pytest.mark.parametrize(
    ("code", "status", "verdict", "words"),
    [
        (Exit.INTERRUPTED, "detached", "detached", "llmdeploy dev attach"),
        (Exit.INTERRUPTED, "stopped", "stopped", "llmdeploy dev history"),
        (Exit.INTERRUPTED, "interrupted", "interrupted", "llmdeploy dev update goes on from here"),
        (Exit.LOCKED, "failed", "locked", "llmdeploy dev attach"),
        (Exit.LOCKED, "failed", "conflict", "llmdeploy dev plan"),
        (Exit.UNREACHABLE, "failed", "failed", "llmdeploy dev doctor"),
        (Exit.FAILED, "failed", "failed", ""),
    ],
)
def test_the_next_step(code: Exit, status: str, verdict: str, words: str) -> None:
    assert words in next_step("dev", "update", code, status, verdict)
