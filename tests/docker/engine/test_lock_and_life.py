"""One writer at a time; the engine outlives whoever started it and stops when told to."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from llmdeploy.engine import lock, run
from llmdeploy.engine.api import Docker
from llmdeploy.engine.progress import alive, follow, read

from .conftest import Stack, end

pytestmark = pytest.mark.docker


def held(stack: Stack, job: str = "other") -> lock.Lock:
    labels = {"job": job, "user": "ben", "host": "ci", "action": "rollback", "started": "3 o'clock", "reason": "fire"}
    made = lock.Lock(Docker(5), stack.name, labels)
    assert made.take() is None
    return made


def test_a_living_holder_keeps_others_out(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT_EVERY", 0.3)
    holder, stop = held(stack), threading.Event()

    def live() -> None:
        while not stop.wait(0.2):
            holder.beat()

    thread = threading.Thread(target=live)
    thread.start()
    lines = stack.run(stack.job({"a": (stack.spec(), [])}))
    stop.set()
    thread.join()
    assert (end(lines)["verdict"], end(lines)["exit"]) == ("locked", 4)
    assert "ben on ci is running `rollback` here since 3 o'clock (fire)" in end(lines)["summary"]
    assert "llmdeploy dev attach" in end(lines)["summary"]
    assert len(stack.configs("lock")) == 1
    assert stack.configs("release") == []
    holder.release()
    assert stack.configs("lock") == []


def test_the_lock_of_a_dead_run_is_taken_over(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "STALE_AFTER", 1.0)
    dead = held(stack)
    lines = stack.run(stack.job({"a": (stack.spec(), [])}))
    assert lines[0]["kind"] == "note"
    assert "ben on ci" in lines[0]["text"]
    assert end(lines)["verdict"] == "done"
    assert stack.configs("lock") == []
    dead.release()


def test_who_lost_the_lock_stops(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "BEAT_EVERY", 0.2)
    job = stack.job({"a": (stack.spec(), []), "b": (stack.spec("sleep 1; exec sleep 99"), ["a"])})
    stop = threading.Timer(1.0, lambda: stack.client.remove_config(stack.configs("lock")[0]["ID"]))
    stop.start()
    lines = stack.run(job)
    assert (end(lines)["verdict"], end(lines)["exit"]) == ("conflict", 4)
    assert "lock was removed" in end(lines)["summary"]


def test_stop_starts_nothing_new_and_ends_what_flies(stack: Stack) -> None:
    job = stack.job({"a": (stack.spec(), []), "b": (stack.spec(), ["a"])}, on_failure="keep")
    folder = run.prepare(stack.folder, job, stack.pins)

    def stop() -> None:
        _until(folder, "service")
        (folder / "stop").touch()

    threading.Thread(target=stop).start()
    assert run.run(folder) == 130
    lines = read(folder)[0]
    assert end(lines)["verdict"] == "stopped"
    assert end(lines)["done"] == [stack.service("a")]
    assert end(lines)["untouched"] == [stack.service("b")]
    assert stack.configs("lock") == []


_STARTER = """
import os, pathlib, sys, time
from llmdeploy.engine import run
run.spawn(pathlib.Path(sys.argv[1]))
print("started", flush=True)
time.sleep(99)
"""


def _spawn(folder: Path) -> subprocess.Popen[str]:
    starter = subprocess.Popen(
        [sys.executable, "-c", _STARTER, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(run.__file__).parents[2])},
    )
    assert starter.stdout
    assert starter.stdout.readline() == "started\n"
    return starter


def _until(folder: Path, kind: str, timeout: float = 30.0) -> list[dict[str, object]]:
    deadline = time.monotonic() + timeout
    while not any(line["kind"] == kind for line in read(folder)[0]):
        assert time.monotonic() < deadline, read(folder)[0]
        time.sleep(0.1)
    return read(folder)[0]


def test_the_engine_outlives_the_process_that_started_it(stack: Stack) -> None:
    job = stack.job({"a": (stack.spec(), []), "b": (stack.spec(), ["a"])})
    folder = run.prepare(stack.folder, job, stack.pins)
    starter = _spawn(folder)
    assert alive(folder)
    starter.kill()
    starter.wait()
    assert end(_until(folder, "end"))["verdict"] == "done"
    deadline = time.monotonic() + 5
    while alive(folder):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {item.name: oct(item.stat().st_mode & 0o777) for item in folder.iterdir()} == dict.fromkeys(
        ("job.json", "pid", "progress.jsonl", "engine.log"), "0o600"
    )
    assert (folder / "engine.log").read_text() == ""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_an_engine_that_is_killed(stack: Stack, how: signal.Signals) -> None:
    job = stack.job({"a": (stack.spec("sleep 99"), []), "b": (stack.spec(), ["a"])})
    job["services"][stack.service("a")]["stability"] = 20.0
    folder = run.prepare(stack.folder, job, stack.pins)
    starter = _spawn(folder)
    _until(folder, "service")
    os.kill(int((folder / "pid").read_text()), how)
    starter.kill()
    starter.wait()
    lines = follow(folder, "ana", 5)
    while lines[-1]["kind"] != "end":
        lines = follow(folder, "ana", 5)
    if how == signal.SIGTERM:
        assert (lines[-1]["verdict"], lines[-1]["exit"]) == ("stopped", 130)
        assert stack.configs("lock") == []
    else:
        assert (lines[-1]["verdict"], lines[-1]["exit"]) == ("failed", 1)
        assert "died" in lines[-1]["summary"]
        assert len(stack.configs("lock")) == 1


def test_an_unexpected_error_is_told_and_the_lock_given_back(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llmdeploy.engine.watch.write", lambda *_: 1 / 0)
    job = stack.job({"a": (stack.spec(), [])})
    lines = stack.run(job)
    assert (end(lines)["verdict"], end(lines)["exit"]) == ("failed", 1)
    assert "ZeroDivisionError" in end(lines)["summary"]
    assert "Traceback" in (stack.folder / job["id"] / "traceback").read_text()
    assert stack.configs("lock") == []
    assert [item["Spec"]["Labels"]["verdict"] for item in stack.configs("release")] == ["failed"]


def test_only_the_newest_folders_are_kept(tmp_path: Path) -> None:
    for number in range(23):
        run.prepare(tmp_path, {"id": f"{number:02}"}, {})
        os.utime(tmp_path / f"{number:02}", (number, number))
    assert sorted(item.name for item in tmp_path.iterdir()) == [f"{number:02}" for number in range(3, 23)]
