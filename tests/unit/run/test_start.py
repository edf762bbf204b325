"""Runs with the real ansible-runner and ansible-playbook, connection local."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from llmdeploy.errors import Exit, LockedError
from llmdeploy.events import (
    Event,
    HostProblem,
    HostStep,
    Note,
    PhaseStarted,
    ReleaseEnded,
    ReleasePlanned,
    ServiceState,
)
from llmdeploy.run.interrupt import Choice, Policy, Signals
from llmdeploy.run.log import RunLog
from llmdeploy.run.processes import PROC, family, processes
from llmdeploy.run.start import _Run
from llmdeploy.run.translate import Translator
from llmdeploy.run.worker import Done

from .conftest import FOLLOWING, Site


def commands() -> list[str]:
    """The command line of every process on this machine."""
    return [command_line(pid) for pid in processes()]


def command_line(pid: int) -> str:
    """Empty when the process has just ended."""
    with contextlib.suppress(OSError):
        return (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


def nothing_left(folder: Path) -> bool:
    """No process of this run, and no child of ours."""
    ours = [process for process in family({processes()[os.getpid()]}) if process.pid != os.getpid()]
    return not ours and not [line for line in commands() if "ansible-playbook" in line and str(folder) in line]


def once(wanted: Callable[[Event], bool], act: Callable[[], None]) -> Callable[[Event], None]:
    """An event handler that acts a moment after the first event that is wanted."""
    seen: list[Event] = []

    def handle(event: Event) -> None:
        if not seen and wanted(event):
            seen.append(event)
            threading.Timer(0.3, act).start()

    return handle


def send(*numbers: int, after: float = 0.0) -> Callable[[], None]:
    """Sends these signals to ourselves, a second apart."""

    def act() -> None:
        time.sleep(after)
        for number in numbers:
            os.kill(os.getpid(), number)
            time.sleep(1)

    return act


def is_following(event: Event) -> bool:
    return isinstance(event, ServiceState)


def test_phases_steps_problems_and_changes(site: Site) -> None:
    problem = {"host": "a", "check": "disk", "level": "warning", "message": "2 GB\x1b[31m free", "hint": "more"}
    outcome = site.run(
        {"name": "Look", "tasks": [{"name": "Read", "say": {"result": {"problems": [problem], "changed": True}}}]},
        {"name": "Prepare", "tasks": [{"ansible.builtin.meta": "end_host"}, {"say": {}}]},
        {"name": "Nobody", "hosts": "nobody", "tasks": [{"say": {}}]},
        {"name": "Images | build", "tasks": [{"name": "Build", "say": {}}]},
        {"name": "Images | deliver", "tasks": [{"name": "Copy", "say": {}, "when": False}]},
    )
    assert outcome.status == "successful"
    assert outcome.exit_hint == Exit.DONE
    assert outcome.changed == {"a": ["Read"]}
    assert [event.name for event in site.events if isinstance(event, PhaseStarted)] == ["Look", "Images"]
    assert HostProblem("a", "disk", "warning", "2 GB free", "more") in site.events
    steps = [(step.step, step.state) for step in site.events if isinstance(step, HostStep)]
    assert steps == [
        ("Read", "running"), ("Read", "changed"), ("Build", "running"), ("Build", "ok"), ("Copy", "running"),
        ("Copy", "skipped"),
    ]  # fmt: skip
    assert nothing_left(site.folder)


def test_failures_are_explained_and_rescued_ones_are_none(site: Site) -> None:
    rescued = {"block": [{"name": "Try", "say": {"fail": "no"}}], "rescue": [{"name": "Mend", "say": {}}]}
    crash = {"name": "Crash", "say": {"crash": "boom"}, "when": "inventory_hostname == 'b'"}
    command = {"name": "Command", "ansible.builtin.command": "sh -c 'echo why >&2; exit 3'"}
    outcome = site.run(
        {"name": "Look", "tasks": [rescued, {"name": "Ignored", "say": {"fail": "x"}, "ignore_errors": True}]},
        {"name": "Prepare", "tasks": [crash, command]},
        hosts={"a": {}, "b": {}},
    )
    assert outcome.status == "failed"
    assert outcome.exit_hint == Exit.FAILED
    assert {step.host: step.detail for step in outcome.failed} == {
        "b": "boom",
        "a": "non-zero return code (exit 3): why",
    }
    assert Note("info", "a: recovered from the failure above") in site.events


def test_an_unreachable_host_is_named_with_what_was_tried(site: Site) -> None:
    began = time.monotonic()
    hosts = {
        "a": {},
        "refused": {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 9},
        "unknown": {"ansible_connection": "ssh", "ansible_host": "no-such-host.invalid"},
    }
    outcome = site.run(
        {"name": "Look", "tasks": [{"name": "Read", "say": {}}]}, hosts=hosts, targets={"refused": "ana@127.0.0.1:9"}
    )
    assert outcome.exit_hint == Exit.UNREACHABLE
    assert outcome.unreachable["refused"].startswith("connection refused, tried ana@127.0.0.1:9;")
    assert outcome.unreachable["unknown"].startswith("host name no-such-host.invalid is unknown")
    assert time.monotonic() - began < 15


def test_a_playbook_that_ansible_refuses(site: Site) -> None:
    outcome = site.run({"name": "Look", "tasks": [{"name": "Read", "no_such_module": {}}]})
    assert outcome.status == "failed"
    assert "no_such_module" in outcome.message


def test_a_release_is_followed_to_its_end(site: Site) -> None:
    hosts = {"a": {"lines": 3, "slow": 0}}
    outcome = site.run({"name": "Release", "tasks": FOLLOWING}, hosts=hosts)
    assert outcome.status == "successful"
    assert outcome.end == ReleaseEnded("done", 0, "all done")
    spoken = [type(event) for event in site.events if not isinstance(event, (HostStep, PhaseStarted))]
    assert spoken == [ReleasePlanned, ServiceState, ServiceState, ServiceState, ReleaseEnded]


class Live:
    """Tells what the engine has written, before the playbook's follower does."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.closed = folder, threading.Event()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        seen = 0
        while not self.closed.is_set():
            lines = (self.folder / "progress.jsonl").read_text().splitlines() if seen or self._begun() else []
            yield from (json.loads(line) for line in lines[seen:])
            seen = len(lines)
            time.sleep(0.02)

    def _begun(self) -> bool:
        return (self.folder / "progress.jsonl").exists()

    def close(self) -> None:
        self.closed.set()


def test_what_is_told_live_is_told_once(site: Site) -> None:
    live = Live(site.folder)
    outcome = site.run({"name": "Release", "tasks": FOLLOWING}, hosts={"a": {"lines": 8, "slow": 0}}, live=lambda: live)
    assert outcome.end == ReleaseEnded("done", 0, "all done")
    assert live.closed.is_set()
    spoken = [type(event) for event in site.events if not isinstance(event, (HostStep, PhaseStarted))]
    assert spoken == [ReleasePlanned, *[ServiceState] * 8, ReleaseEnded]
    elapsed = [event.elapsed for event in site.events if isinstance(event, ServiceState)]
    assert elapsed == sorted(elapsed)


def test_without_what_is_told_live_the_playbook_tells_everything(site: Site) -> None:
    def broken() -> Live:
        raise OSError("no way to the manager")

    outcome = site.run({"name": "Release", "tasks": FOLLOWING}, hosts={"a": {"lines": 3, "slow": 0}}, live=broken)
    assert outcome.end == ReleaseEnded("done", 0, "all done")
    assert [type(event) for event in site.events if isinstance(event, ServiceState)] == [ServiceState] * 3


def test_ctrl_c_before_the_release_leaves_nothing_behind(site: Site) -> None:
    sleeper = f"sleep 3333.{os.getpid()}"
    asked: list[str] = []
    outcome = site.run(
        {"name": "Prepare", "tasks": [{"name": "Long", "ansible.builtin.command": sleeper}]},
        hosts={"a": {}, "b": {}},
        on_event=once(lambda event: isinstance(event, HostStep), send(signal.SIGINT, after=1)),
        policy=Policy(ask=lambda: asked.append("asked") or "detach"),  # type: ignore[func-returns-value]
    )
    assert outcome.status == "interrupted"
    assert outcome.exit_hint == Exit.INTERRUPTED
    assert outcome.seconds < 12
    assert not asked
    assert not [line for line in commands() if sleeper in line]
    assert nothing_left(site.folder)


@pytest.mark.parametrize(("begun", "status"), [(False, "interrupted"), (True, "stopping"), (None, "unsure")])
def test_what_was_on_its_way_to_the_manager_does_not_begin_after_all(
    site: Site, begun: bool | None, status: str
) -> None:
    """The engine was asked for when the signal came, and we had not heard of it."""

    def asked() -> bool:
        if begun is None:
            raise OSError("no way to the manager")
        return begun

    outcome = site.run(
        {"name": "Prepare", "tasks": [{"name": "Long", "ansible.builtin.command": "sleep 30"}]},
        on_event=once(lambda event: isinstance(event, HostStep), send(signal.SIGINT)),
        request_stop=asked,
    )
    assert (outcome.status, outcome.exit_hint) == (status, Exit.INTERRUPTED)
    assert ("no service was touched" in outcome.message) is (begun is False)
    assert ("no way to the manager" in str(site.events)) is (begun is None)


def test_sigterm_stops_the_engine_and_waits_for_its_verdict(site: Site) -> None:
    outcome = site.run(
        {"name": "Release", "tasks": FOLLOWING},
        hosts={"a": {"lines": 200, "slow": 0}},
        on_event=once(is_following, send(signal.SIGTERM)),
        request_stop=(site.folder / "stop").touch,
    )
    assert outcome.status == "stopped"
    assert outcome.end == ReleaseEnded("stopped", 130, "stopped as asked")
    assert outcome.exit_hint == Exit.INTERRUPTED
    assert nothing_left(site.folder)


def test_detaching_ends_the_follower_and_not_the_engine(site: Site) -> None:
    outcome = site.run(
        {"name": "Release", "tasks": FOLLOWING},
        hosts={"a": {"lines": 30, "slow": 0}},
        on_event=once(is_following, send(signal.SIGINT)),
        policy=Policy(ask=lambda: "detach"),
        request_stop=(site.folder / "stop").touch,
    )
    assert outcome.status == "detached"
    assert outcome.exit_hint == Exit.INTERRUPTED
    assert nothing_left(site.folder)
    last: dict[str, Any] = {}
    until = time.monotonic() + 20
    while last.get("kind") != "end" and time.monotonic() < until:
        time.sleep(0.2)
        last = json.loads((site.folder / "progress.jsonl").read_text().splitlines()[-1])
    assert last["verdict"] == "done"


def test_detaching_waits_until_the_engine_has_been_started(site: Site) -> None:
    outcome = site.run(
        {"name": "Release", "tasks": FOLLOWING},
        hosts={"a": {"lines": 5, "slow": 2}},
        on_event=once(lambda event: isinstance(event, HostStep), send(signal.SIGTERM)),
        policy=Policy(on_interrupt="detach"),
    )
    assert outcome.status == "detached"
    time.sleep(2)
    assert "done" in (site.folder / "progress.jsonl").read_text()


def test_a_second_signal_leaves_the_engine_alone_with_its_stopping(site: Site) -> None:
    outcome = site.run(
        {"name": "Release", "tasks": FOLLOWING},
        hosts={"a": {"lines": 40, "slow": 0}},
        on_event=once(is_following, send(signal.SIGTERM, signal.SIGTERM)),
        request_stop=lambda: None,  # an engine that does not hear
    )
    assert outcome.status == "stopping"
    assert outcome.exit_hint == Exit.INTERRUPTED
    assert nothing_left(site.folder)


def test_a_release_that_ends_while_we_ask_has_ended(site: Site) -> None:
    def ask() -> Choice:
        while "end" not in (site.folder / "progress.jsonl").read_text():
            time.sleep(0.1)
        time.sleep(5)
        return "detach"

    outcome = site.run(
        {"name": "Release", "tasks": FOLLOWING},
        hosts={"a": {"lines": 20, "slow": 0}},
        on_event=once(is_following, send(signal.SIGINT)),
        policy=Policy(ask=ask),
    )
    assert outcome.status == "successful"
    assert outcome.end == ReleaseEnded("done", 0, "all done")


def test_the_deadline_before_the_release(site: Site) -> None:
    outcome = site.run(
        {"name": "Prepare", "tasks": [{"name": "Long", "ansible.builtin.command": "sleep 3333"}]}, deadline=2.0
    )
    assert outcome.status == "deadline"
    assert outcome.exit_hint == Exit.FAILED
    assert outcome.seconds < 10
    assert nothing_left(site.folder)


def refuse_once(reached: list[Event], wanted: type[Event]) -> Callable[[], None]:
    """A check that refuses from the first such event on."""

    def check() -> None:
        if any(isinstance(event, wanted) for event in reached):
            raise LockedError("lost")

    return check


def test_a_lock_lost_before_the_release_ends_the_run(site: Site) -> None:
    sleeper = f"sleep 3334.{os.getpid()}"
    tasks = [{"name": "Long", "ansible.builtin.command": sleeper}]
    with pytest.raises(LockedError, match="lost"):
        site.run({"name": "Prepare", "tasks": tasks}, check=refuse_once(site.events, HostStep))
    assert not [line for line in commands() if sleeper in line]
    assert nothing_left(site.folder)


def test_a_release_under_way_has_the_lock_itself(site: Site) -> None:
    outcome = site.run(
        {"name": "Release", "tasks": FOLLOWING},
        hosts={"a": {"lines": 5, "slow": 0}},
        check=refuse_once(site.events, ServiceState),
    )
    assert outcome.end == ReleaseEnded("done", 0, "all done")


class FakeWorker:
    """Ansible with a follower that says what the engine says; `stop` is the engine's stop file."""

    def __init__(self) -> None:
        self.queue: SimpleQueue[Any] = SimpleQueue()
        self.stop, self.cancelled = threading.Event(), False

    def start(self) -> None:
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        self._say({"kind": "service", "name": "a", "state": "starting"})
        while not (self.stop.is_set() or self.cancelled):
            time.sleep(0.02)
        if self.stop.is_set():
            self._say({"kind": "end", "verdict": "stopped", "exit": 130, "summary": "stopped as asked"})
        self.queue.put(Done(0 if self.stop.is_set() else None))

    def _say(self, line: dict[str, Any]) -> None:
        data = {"task_action": "llmdeploy_follow", "host": "a", "res": {"lines": [line]}}
        self.queue.put({"event": "runner_retry", "event_data": data})


@pytest.mark.parametrize("hears", [True, False])
def test_the_deadline_stops_the_engine(hears: bool) -> None:
    worker = FakeWorker()
    tell = worker.stop.set if hears else lambda: None
    run = _Run(worker, Translator(), lambda _event: None, Policy(), tell, None, str, None)  # type: ignore[arg-type]
    with Signals() as signals:
        outcome = run.follow(signals, 0.5, 0.5)
    assert outcome.status == "deadline"
    assert outcome.exit_hint == Exit.FAILED
    assert (outcome.end is not None) is hears


def test_a_stop_that_cannot_be_told_is_reported(site: Site) -> None:
    def broken() -> None:
        raise OSError("no way to the manager")

    site.run(
        {"name": "Release", "tasks": FOLLOWING},
        hosts={"a": {"lines": 40, "slow": 0}},
        on_event=once(is_following, send(signal.SIGTERM)),
        request_stop=broken,
    )
    assert Note("error", "the release engine could not be told to stop: no way to the manager") in site.events


def test_the_child_gets_little_of_our_environment(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SECRET_OF_THE_SHELL", "ANSIBLE_BECOME", "AWX_SOMETHING", "ANSIBLE_CALLBACK_PLUGINS"):
        monkeypatch.setenv(name, "/leaked")
    task = {"ansible.builtin.shell": "env > {{ folder }}/env"}
    outcome = site.run({"name": "Look", "tasks": [task]})
    assert outcome.status == "successful"
    env = (site.folder / "env").read_text()
    assert "leaked" not in env
    assert "ANSIBLE_SSH_CONTROL_PATH_DIR=/tmp/lld-" in env


def test_secrets_reach_neither_events_nor_logs_and_a_broken_view_is_survived(site: Site) -> None:
    lines = [{"kind": "end", "verdict": "done", "summary": "hunter2"}, {"kind": "failure", "log": ["hunter2"]}]

    def broken(_event: Event) -> None:
        raise ValueError("the view has a bug")

    with RunLog(site.folder / "logs", "run", redact=lambda text: text.replace("hunter2", "***")) as log:
        outcome = site.run(
            {"name": "Look", "tasks": [{"name": "Use hunter2", "say": {"result": {"changed": True, "lines": lines}}}]},
            {"name": "Look", "tasks": [{"name": "Use hunter2", "say": {"fail": "bad password hunter2"}}]},
            on_event=broken,
            log=log,
            redact=lambda text: text.replace("hunter2", "***"),
        )
        assert outcome.log_path == log.path
        said = log.ansible_path.read_text()
    assert "bad password ***" in said
    assert "the view has a bug" in said
    events = json.dumps([event.to_json() for event in site.events])
    assert "hunter2" not in said + events + json.dumps(outcome.to_json())


@pytest.fixture
def sshd(tmp_path: Path) -> Iterator[dict[str, Any]]:
    """An sshd of this test's own on this machine; gives the variables of a host that is reached through it."""
    server = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
    if server is None or os.geteuid() != 0:
        pytest.skip("needs sshd and root")
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True)
    Path("/run/sshd").mkdir(exist_ok=True)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = {
        "HostKey": tmp_path / "host", "AuthorizedKeysFile": tmp_path / "user.pub", "StrictModes": "no", "Port": port,
        "PidFile": "none", "ListenAddress": "127.0.0.1",
    }  # fmt: skip
    command = [
        server,
        "-D",
        "-f",
        "/dev/null",
        *(part for key, value in options.items() for part in ("-o", f"{key}={value}")),
    ]
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    known = f"-o UserKnownHostsFile={tmp_path / 'known'} -o StrictHostKeyChecking=accept-new"
    yield {
        "ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": port,
        "ansible_ssh_private_key_file": str(tmp_path / "user"), "ansible_ssh_common_args": known,
    }  # fmt: skip
    running.terminate()
    running.wait()


def once_running(command: str, act: Callable[[], None]) -> Callable[[], None]:
    """Waits, for ten seconds at most, until the command runs on the far side."""

    def wait() -> None:
        until = time.monotonic() + 10
        while f"{command} " not in commands() and time.monotonic() < until:
            time.sleep(0.05)
        act()

    return wait


@pytest.mark.parametrize("ends", ["by itself", "by Ctrl-C"])
def test_no_ssh_is_left(site: Site, sshd: dict[str, Any], ends: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sockets = Path(tempfile.mkdtemp(prefix="lld-test-", dir="/tmp"))
    monkeypatch.setattr(tempfile, "mkdtemp", lambda **_: str(sockets))
    command = "sleep 0.1" if ends == "by itself" else f"sleep 3333.{os.getpid()}"
    act = once_running(command, send(signal.SIGINT)) if ends == "by Ctrl-C" else lambda: None
    # Without pipelining the far side notices that nobody listens any more: what long tasks of our roles do.
    long = {"name": "Long", "ansible.builtin.command": command, "vars": {"ansible_pipelining": False}}
    outcome = site.run(
        {"name": "Look", "tasks": [{"name": "Read", "say": {}}, long]},
        hosts={"far": sshd},
        on_event=once(lambda event: isinstance(event, HostStep) and event.step == "Long", act),
    )
    assert outcome.status == ("successful" if ends == "by itself" else "interrupted")
    left = [line for line in commands() if str(sockets) in line]
    until = time.monotonic() + 5
    while f"{command} " in commands() and time.monotonic() < until:
        time.sleep(0.1)
    assert not left
    assert not sockets.exists()
    assert f"{command} " not in commands()
