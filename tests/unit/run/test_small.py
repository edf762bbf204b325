"""The environment, interruptions, processes, the log, the outcome."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from llmdeploy.errors import Exit
from llmdeploy.events import ReleaseEnded
from llmdeploy.run import processes
from llmdeploy.run.environment import child_environment, private_places
from llmdeploy.run.interrupt import Policy, Signals
from llmdeploy.run.log import RunLog
from llmdeploy.run.outcome import Status, outcome
from llmdeploy.run.processes import Process, close_masters, end_family, family
from llmdeploy.run.translate import Translator


def test_the_environment_is_ours() -> None:
    shell = {
        "PATH": "/bin",
        "https_proxy": "http://p",
        "ANSIBLE_FORKS": "1",
        "AWS_SECRET_ACCESS_KEY": "x",
        "PYTHONPATH": "y",
    }
    env = child_environment(
        shell, hosts=90, library=[Path("/l")], roles=[Path("/r"), Path("/s")], become_password_file=Path("/b"),
        ssh_options=["-o UserKnownHostsFile=/k"], more={"ANSIBLE_TIMEOUT": "3"},
    )  # fmt: skip
    assert set(shell) & set(env) == {"PATH", "https_proxy", "ANSIBLE_FORKS"}
    assert env["ANSIBLE_FORKS"] == "25"
    assert env["ANSIBLE_ROLES_PATH"] == "/r:/s"
    assert env["ANSIBLE_TIMEOUT"] == "3"
    assert env["ANSIBLE_BECOME_PASSWORD_FILE"] == "/b"
    assert "ControlMaster=auto" in env["ANSIBLE_SSH_ARGS"]
    assert env["ANSIBLE_SSH_ARGS"].endswith("-o UserKnownHostsFile=/k")
    assert private_places(Path("/run/x"), Path("/tmp/c"))["ANSIBLE_CONFIG"] == "/run/x/ansible.cfg"


@pytest.mark.parametrize(
    ("policy", "number", "choice"),
    [
        (Policy(ask=lambda: "detach"), signal.SIGINT, "detach"),
        (Policy(ask=lambda: "detach"), signal.SIGTERM, "stop"),
        (Policy(on_interrupt="detach"), signal.SIGTERM, "detach"),
        (Policy(on_interrupt="detach"), signal.SIGINT, "detach"),
        (Policy(), signal.SIGINT, "stop"),
        (Policy(), signal.SIGHUP, "detach"),
    ],
)
def test_what_a_signal_means(policy: Policy, number: int, choice: str) -> None:
    assert policy.choose(number) == choice


def test_a_second_ctrl_c_while_asking_stops_and_the_old_handlers_come_back() -> None:
    def ask() -> str:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)
        return "detach"

    before = signal.getsignal(signal.SIGINT)
    with Signals() as signals:
        os.kill(os.getpid(), signal.SIGINT)
        number = signals.take()
        assert number == signal.SIGINT
        assert signals.choose(Policy(ask=ask), number) == "stop"  # type: ignore[arg-type]
        assert signals.take() is None
    assert signal.getsignal(signal.SIGINT) is before


# A parent that ignores SIGINT, a child in a session of its own, a grandchild.
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
subprocess.Popen([sys.executable, "-c", "import subprocess; subprocess.run(['sleep', '3333'])"], start_new_session=True)
print("ready", flush=True)
time.sleep(3333)
"""


def test_a_family_is_ended_down_to_the_grandchildren() -> None:
    parent = subprocess.Popen([sys.executable, "-c", STUBBORN], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    parent.stdout.readline()
    until = time.monotonic() + 10
    known = family({processes.processes()[parent.pid]})
    while len(known) < 3 and time.monotonic() < until:
        time.sleep(0.05)
        known = family(known)
    assert len(known) == 3
    assert end_family(parent.pid, patience=0.2) == set()
    assert family(known) == set()
    parent.wait()
    parent.stdout.close()


def test_a_process_number_that_belongs_to_somebody_else_is_left_alone() -> None:
    mine = processes.processes()[os.getpid()]
    assert family({Process(mine.pid, mine.parent, "another start time")}) == set()
    assert end_family(2**22 + 1) == set()


def test_the_process_table_without_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "PROC", tmp_path)
    mine = processes.processes()[os.getpid()]
    assert mine.parent == os.getppid()
    assert mine.start


def test_sockets_that_nobody_answers_are_no_trouble(tmp_path: Path) -> None:
    (tmp_path / "0a1b2c").touch()
    close_masters(tmp_path)


def test_the_log_is_private_redacted_and_old_ones_go(tmp_path: Path) -> None:
    folder = tmp_path / "logs" / "dev"
    for number in range(5):
        with RunLog(folder, f"run-{number}", redact=lambda text: text.replace("s3cret", "***"), keep=3) as log:
            log.line("a s3cret \x1b[31mline")
            log.ansible("PLAY\r\n")
        os.utime(log.path, (number, number))
    log.line("after the end is no trouble")
    assert log.path.read_text() == "a *** line\n"
    assert log.ansible_path.read_text() == "PLAY\n"
    assert {oct(path.stat().st_mode)[-3:] for path in folder.iterdir()} == {"600"}
    assert oct(folder.stat().st_mode)[-3:] == "700"
    assert sorted(path.name for path in folder.glob("*.log")) == ["run-2.log", "run-3.log", "run-4.log"]
    assert len(list(folder.glob("*.txt"))) == 3


DONE, UNHEALTHY = ReleaseEnded("done", 0, "fine"), ReleaseEnded("unhealthy", 7, "head-go is not healthy")
BACK = {"to": 4, "verified": True, "services": ["a"], "removed": [], "seconds": 1.0, "stuck": []}
ROLLED_BACK = ReleaseEnded("rolled-back", 6, "head-go is not healthy; taken back to release 4", taken_back=BACK)


@pytest.mark.parametrize(
    ("forced", "rc", "end", "away", "status", "code"),
    [
        (None, 0, None, False, "successful", Exit.DONE),
        (None, 0, DONE, False, "successful", Exit.DONE),
        (None, 2, UNHEALTHY, False, "failed", Exit.UNHEALTHY),
        (None, 0, UNHEALTHY, False, "failed", Exit.UNHEALTHY),
        (None, 2, ROLLED_BACK, False, "failed", Exit.ROLLED_BACK),
        (None, 4, None, True, "failed", Exit.UNREACHABLE),
        (None, 4, DONE, True, "failed", Exit.UNREACHABLE),
        (None, 2, None, False, "failed", Exit.FAILED),
        (None, None, ReleaseEnded("odd", 99), False, "failed", Exit.FAILED),
        ("interrupted", 99, None, False, "interrupted", Exit.INTERRUPTED),
        ("detached", None, None, False, "detached", Exit.INTERRUPTED),
        ("stopped", 0, ReleaseEnded("stopped", 130), False, "stopped", Exit.INTERRUPTED),
        ("stopped", 0, DONE, False, "successful", Exit.DONE),
        ("stopped", 2, UNHEALTHY, False, "stopped", Exit.UNHEALTHY),
        ("deadline", None, None, False, "deadline", Exit.FAILED),
        ("deadline", 0, ReleaseEnded("stopped", 130), False, "deadline", Exit.FAILED),
        ("deadline", 0, ReleaseEnded("stopped", 130, taken_back=BACK), False, "deadline", Exit.ROLLED_BACK),
        ("deadline", 0, ReleaseEnded("stopped", 130, taken_back={**BACK, "verified": False}), False, "deadline",
         Exit.FAILED),
        ("deadline", 2, UNHEALTHY, False, "deadline", Exit.UNHEALTHY),
        ("deadline", 0, DONE, False, "successful", Exit.DONE),
    ],
)  # fmt: skip
def test_the_outcome(
    forced: Status | None, rc: int | None, end: ReleaseEnded | None, away: bool, status: str, code: Exit
) -> None:
    seen = Translator(end=end, unreachable={"a": "connection refused"} if away else {})
    result = outcome(seen, forced=forced, rc=rc, error="", seconds=1.0, log_path=None)
    assert (result.status, result.exit_hint) == (status, code)
    assert result.message or result.status == "successful"


def test_trouble_in_ansible_runner_after_the_recap_changes_nothing() -> None:
    seen = Translator(finished=True)
    assert outcome(seen, forced=None, rc=None, error="TIMEOUT", seconds=1.0, log_path=None).status == "successful"
    seen = Translator(finished=False)
    assert outcome(seen, forced=None, rc=None, error="TIMEOUT", seconds=1.0, log_path=None).message == "TIMEOUT"
