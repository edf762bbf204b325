"""The lock in the hands of the command: before the engine, with the engine, without one; and who else wants it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from llmdeploy.cli import locking
from llmdeploy.cli.connection import connect
from llmdeploy.cli.session import Session
from llmdeploy.engine import lock as engine
from llmdeploy.engine.api import Docker, Json, UnreachableError
from llmdeploy.engine.attempt import labels
from llmdeploy.errors import LockedError

from .conftest import Stack, end

pytestmark = pytest.mark.docker
SESSION = Session(environment="dev", action="deploy", plain=True)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BEAT_EVERY", 0.3)
    monkeypatch.setattr(engine, "STALE_AFTER", 2.0)


def job(stack: Stack, who: str = "ben", **more: Any) -> dict[str, Any]:
    by = {"user": who, "host": "ci", "message": "night shift"}
    return {"id": f"job-of-{who}", "stack": stack.name, "environment": "dev", "action": "update", "by": by, **more}


def take(stack: Stack, who: str = "ben", wait: float = 0.0, docker: Docker | None = None) -> Any:
    return locking.take(SESSION, docker or Docker(2), job(stack, who), wait)


def lock_labels(stack: Stack) -> dict[str, str]:
    found = stack.configs("lock")
    return dict(found[0]["Spec"]["Labels"]) if found else {}


def test_the_engine_takes_it_over_and_the_command_never_touches_it_again(stack: Stack) -> None:
    wanted = stack.job({"a": (stack.spec("sleep 1; exec sleep 99"), [])})
    hold = locking.take(SESSION, Docker(2), wanted)
    assert lock_labels(stack)["holder"] == "command"
    lines = stack.run(wanted)
    assert end(lines)["verdict"] == "done"
    assert [line["text"] for line in lines if line["kind"] == "note"] == []
    hold.check()
    assert stack.configs("lock") == []
    hold.end()


def test_the_command_shows_its_life_and_gives_the_lock_back(stack: Stack) -> None:
    hold = take(stack)
    time.sleep(2.5)  # longer than a dead holder is waited for
    with pytest.raises(LockedError) as caught:
        take(stack, "ana")
    assert "ben on ci is running `update` here since 20" in caught.value.message
    assert "(night shift)" in caught.value.message
    assert caught.value.hint == "--wait 5m waits for its end"
    assert caught.value.details["lock"]["user"] == "ben"
    assert int(caught.value.exit_code) == 4
    hold.check()
    hold.end()
    assert stack.configs("lock") == []


def test_an_engine_that_holds_it_can_be_attached_to(stack: Stack) -> None:
    holder = engine.Lock(Docker(2), stack.name, labels(job(stack)))
    holder.take()
    threading.Timer(0.8, holder.beat).start()
    with pytest.raises(LockedError) as caught:
        take(stack, "ana")
    assert "llmdeploy dev attach follows it" in caught.value.hint


def test_waiting_says_for_whom_and_ends_with_the_lock(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    first = take(stack)
    threading.Timer(1.5, first.end).start()
    began = time.monotonic()
    second = take(stack, "ana", wait=20)
    assert 1.0 < time.monotonic() - began < 6
    said = capsys.readouterr().err
    assert said.count("Waiting for another run to end") == 1
    assert "ben on ci is running `update`" in said
    assert lock_labels(stack)["user"] == "ana"
    assert second.notes == []
    second.end()


def test_waiting_ends(stack: Stack) -> None:
    hold = take(stack)
    with pytest.raises(LockedError, match="ben on ci"):
        take(stack, "ana", wait=1)
    hold.end()


def test_the_lock_of_a_killed_command_is_taken_over(stack: Stack) -> None:
    program = (
        "import json, sys, time\n"
        "from llmdeploy.cli import locking; from llmdeploy.cli.session import Session\n"
        "from llmdeploy.engine.api import Docker\n"
        "hold = locking.take(Session('dev', 'deploy'), Docker(2), json.loads(sys.argv[1]))\n"
        "print('held', flush=True); time.sleep(99)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, json.dumps(job(stack))], stdout=subprocess.PIPE, text=True, env=dict(os.environ)
    )
    assert process.stdout
    assert process.stdout.readline() == "held\n"
    process.kill()
    process.wait()
    began = time.monotonic()
    hold = take(stack, "ana")
    assert 1.5 < time.monotonic() - began < 6
    assert "ben on ci" in hold.notes[0].text
    assert lock_labels(stack)["user"] == "ana"
    hold.end()


@pytest.mark.parametrize("by", ["nobody", "ana"])
def test_who_lost_it_is_stopped(stack: Stack, by: str) -> None:
    hold = take(stack)
    stack.client.remove_config(stack.configs("lock")[0]["ID"])
    other = take(stack, "ana") if by == "ana" else None
    deadline = time.monotonic() + 5
    while not hold.lost and time.monotonic() < deadline:
        time.sleep(0.05)
    with pytest.raises(LockedError, match="ana on ci" if other else "removed"):
        hold.check()
    hold.end()
    assert lock_labels(stack).get("user") == (by if other else None)
    if other:
        other.end()


def test_an_engine_that_takes_over_in_the_last_moment_keeps_it(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BEAT_EVERY", 60.0)
    hold = take(stack)
    own = engine.Lock(Docker(2), stack.name, labels(job(stack)))
    own.take()
    hold.end()
    assert lock_labels(stack)["job"] == "job-of-ben"
    assert "holder" not in lock_labels(stack)
    own.release()


def test_a_connection_that_is_cut_for_a_while_loses_nothing(stack: Stack, tmp_path: Path) -> None:
    socket = tmp_path / "docker.sock"
    socket.symlink_to("/var/run/docker.sock")
    docker = Docker(0, f"unix://{socket}")
    hold = take(stack, docker=docker)
    socket.unlink()
    docker._client.close()
    time.sleep(1)
    hold.check()
    before = lock_labels(stack)["heartbeat"]
    socket.symlink_to("/var/run/docker.sock")
    time.sleep(1)
    assert lock_labels(stack)["heartbeat"] != before
    hold.end()
    assert stack.configs("lock") == []


class Deaf(Docker):
    """Writes, but loses the answer once."""

    lost = False

    def label_config(self, config: Json, labels: dict[str, str]) -> None:
        super().label_config(config, labels)
        if not self.lost:
            self.lost = True
            raise UnreachableError("the answer was lost")


def test_a_lost_answer_is_no_lost_lock(stack: Stack) -> None:
    docker = Deaf(2)
    hold = take(stack, docker=docker)
    time.sleep(1.5)
    assert docker.lost
    hold.check()
    assert int(lock_labels(stack)["heartbeat"]) > 3
    hold.end()
    assert stack.configs("lock") == []


def test_held_finds_the_cluster_of_an_environment(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "inventory").mkdir()
    (tmp_path / "inventory" / "dev.ini").write_text("[app]\nlocalhost ansible_connection=local\n")
    session = Session(environment="dev", action="deploy", project_dir=tmp_path)
    with connect(session, session.outline()) as connection:
        with locking.held(session, connection, job(stack)) as hold:
            assert lock_labels(stack)["job"] == "job-of-ben"
            hold.check()
        assert stack.configs("lock") == []
