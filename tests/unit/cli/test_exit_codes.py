"""Every exit code the command line gives without a cluster, each with its JSON envelope.

4, 7 and most of 5 need hosts: tests/e2e. 6 has no code path yet.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from llmdeploy.cli.action import run_verb
from llmdeploy.cli.session import Outcome, Session
from llmdeploy.errors import Exit, LockedError, UnhealthyError
from tests.unit.cli.conftest import Call, Said


def test_0_done(call: Call, project: Path) -> None:
    made = call("dev", "validate", "--json").envelope
    assert (made["llmdeploy"], made["command"], made["status"]) == (1, "dev validate", "success")


def test_1_failed(call: Call, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    made = call("init", tmp_path / "file" / "below", "--json").envelope
    assert (made["exit_code"], made["status"], made["command"]) == (1, "failed", "init")


@pytest.mark.parametrize(
    ("words", "command", "message", "hint"),
    [
        (["stagin", "plan", "--json"], "stagin plan", "no environment or command 'stagin'", "did you mean staging?"),
        (["dev", "deplyo", "--json"], "dev deplyo", "no action 'deplyo'", "did you mean deploy?"),
        (["dev", "plan", "--jsn", "--json"], "dev plan", "No such option: --jsn", "llmdeploy dev plan --help"),
        (["dev", "deploy", "extra", "--json"], "dev deploy", "unexpected extra argument", "dev deploy --help"),
        (["schema", "catalog", "--json"], "schema", "'catalog' is not one of", "llmdeploy schema --help"),
        (["--json", "dev"], "dev --json", "the action comes before its options", "deploy, plan"),
        (["--json"], "", "--json", "llmdeploy --help"),
        (["dev", "config", "nothing", "--json"], "dev config", "no key that begins with 'nothing'", "dev config"),
        (["dev", "validate", "--set", "x", "--json"], "dev validate", "x", ""),
        (["production", "deploy", "--json"], "production deploy", "no terminal to ask on", "production deploy --yes"),
        (["dev", "plan", "--project", "/nowhere", "--json"], "dev plan", "no project in /nowhere", "llmdeploy init"),
    ],
)
def test_2_usage(call: Call, project: Path, words: list[str], command: str, message: str, hint: str) -> None:
    made = call(*words).envelope
    assert (made["exit_code"], made["status"], made["command"]) == (2, "failed", command)
    (error,) = made["errors"]
    assert message in error["message"]
    assert hint in error["hint"]


def test_2_a_limit_that_is_no_duration(call: Call, project: Path) -> None:
    for verb in ("deploy", "doctor"):
        made = call("dev", verb, "--limit-time", "soon", "--json").envelope
        assert made["exit_code"] == 2
        assert "--limit-time soon" in made["errors"][0]["message"]


@pytest.mark.parametrize("verb", ["deploy", "update", "plan", "verify", "status", "validate", "config", "doctor"])
def test_3_configuration(call: Call, project: Path, no_ssh: Callable[[], bool], verb: str) -> None:
    (project / "environments" / "staging.yml").write_text("services: {web: {prots: []}}\n")
    made = call("staging", verb, "--json").envelope
    assert made["exit_code"] == 3
    (problem,) = made["errors"][0]["problems"]
    assert (problem["file"], problem["line"], problem["path"]) == ("environments/staging.yml", 1, "services.web.prots")
    assert no_ssh()


@pytest.mark.parametrize("words", ["rollback --yes", "rollback 3", "scale web=2", "abort", "attach"])
def test_5_what_an_incident_needs_asks_the_hosts_whatever_the_files_say(
    call: Call, project: Path, no_ssh: Callable[[], bool], words: str
) -> None:
    """Broken settings, then none, then not even a catalogue."""
    file, catalogue = project / "environments" / "staging.yml", project / "inventory" / "group_vars" / "all.yml"
    for damage in (lambda: file.write_text("services: {web: {prots: []}}\n"), file.unlink, catalogue.unlink):
        damage()
        made = call("staging", *words.split(), "--json").envelope
        assert made["exit_code"] == 5, made
        assert "far" in made["errors"][0]["message"]
    assert not no_ssh()


@pytest.mark.parametrize("verb", ["plan", "doctor", "deploy"])
def test_5_a_host_that_refuses_is_named_with_what_was_tried(call: Call, project: Path, verb: str) -> None:
    (project / "inventory" / "staging.ini").write_text(
        "[app]\nfar ansible_host=127.0.0.1 ansible_port=1 ansible_user=nobody\n"
    )
    said = call("staging", verb, "--json")
    assert said.code == 5, said
    assert said.envelope["status"] == "unreachable"
    message = said.envelope["errors"][0]["message"]
    assert "far" in message
    assert "nobody@127.0.0.1 port 1" in message


def test_10_the_plan_of_a_first_deploy(call: Call, project: Path) -> None:
    """Reads this machine, changes nothing."""
    made = call("dev", "plan", "--json").envelope
    assert (made["exit_code"], made["status"]) == (10, "changes")
    assert {row["name"]: row["action"] for row in made["data"]["services"]}["web"] == "create"


def test_130_control_c_in_any_verb(call: Call, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("llmdeploy.cli.session.Session.load", interrupted)
    made = call("dev", "status", "--json").envelope
    assert (made["exit_code"], made["status"]) == (130, "interrupted")
    said = call("dev", "status")
    assert said.code == 130
    assert "Traceback" not in said.err


def test_130_control_c_before_the_verb(call: Call, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("llmdeploy.cli.grammar.find_project", interrupted)
    said = call("dev", "status")
    assert said.code == 130
    assert "Traceback" not in said.err


@pytest.mark.parametrize(("error", "code"), [(LockedError("held by ana"), 4), (UnhealthyError("2 checks fail"), 7)])
def test_a_verbs_error_decides_the_code(error: Exception, code: int, capsys: pytest.CaptureFixture[str]) -> None:
    """How hosts bring these about is shown on the lab; that they arrive is shown here."""

    def fail() -> Outcome:
        raise error

    got = run_verb(Session("dev", "plan", json=True), fail)
    said = capsys.readouterr()
    assert Said(got, said.out, said.err).envelope["exit_code"] == code


def test_a_verbs_outcome_decides_the_code(capsys: pytest.CaptureFixture[str]) -> None:
    got = run_verb(Session("dev", "plan", json=True), lambda: Outcome("plan", {}, Exit.CHANGES))
    said = capsys.readouterr()
    assert Said(got, said.out, said.err).envelope["status"] == "changes"


def test_a_bug_becomes_a_report_and_no_traceback(
    call: Call, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("deep inside")

    monkeypatch.setattr("llmdeploy.cli.session.Session.load", broken)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    said = call("dev", "status")
    assert said.code == 1
    assert "a bug in llmdeploy: ZeroDivisionError: deep inside" in said.err
    assert "Traceback" not in said.err
    (report,) = tmp_path.glob("llmdeploy-bug-*.txt")
    assert str(report) in said.err.replace("\n", "")
    assert "Traceback" in report.read_text()
