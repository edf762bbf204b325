"""The verb unlock against a real Swarm: who holds the lock, whether that run lives, and the lock's end by force."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llmdeploy.cli import locking, unlocking
from llmdeploy.cli.main import main
from llmdeploy.cli.session import Session
from llmdeploy.engine import lock as engine
from llmdeploy.engine.api import ConflictError, Docker, Json

from .conftest import Stack

pytestmark = pytest.mark.docker
Unlock = Callable[..., dict[str, Any]]


@pytest.fixture
def unlock(stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Unlock:
    """Runs `unlock --json` for an environment whose stack this is; out: the envelope."""
    for name, text in {
        "inventory/dev.ini": "[app]\nlocalhost ansible_connection=local\n",
        "inventory/group_vars/all.yml": f"stack: {stack.name}\n",  # no services: unlock does not need them
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(engine, "BEAT_EVERY", 0.3)
    for module in (engine, unlocking):
        monkeypatch.setattr(module, "STALE_AFTER", 2.0)

    def run(*words: str) -> dict[str, Any]:
        monkeypatch.setattr(sys, "argv", ["llmdeploy", "dev", "unlock", *words, "--json", "--project", str(tmp_path)])
        main()
        made: dict[str, Any] = json.loads(capsys.readouterr().out)
        return made

    return run


def job(stack: Stack) -> dict[str, Any]:
    by = {"user": "ben", "host": "ci", "message": "night shift"}
    return {"id": "job-of-ben", "stack": stack.name, "environment": "dev", "action": "update", "by": by}


def test_nobody_holds_it(stack: Stack, unlock: Unlock) -> None:
    stack.run(stack.job({"a": (stack.spec(), [])}))
    for words in ([], ["--force"]):
        said = unlock(*words)
        assert (said["exit_code"], said["data"]["holder"]) == (0, None)
    assert "unlocked" not in stack.configs("release")[0]["Spec"]["Labels"]


def test_without_force_the_holder_is_shown_and_keeps_it(stack: Stack, unlock: Unlock) -> None:
    stack.run(stack.job({"a": (stack.spec(), [])}))
    hold = locking.take(Session("dev", "update"), Docker(2), job(stack))
    said = unlock()
    assert said["exit_code"] == 2
    message = said["errors"][0]["message"]
    assert message.startswith("ben on ci is running `update` here since 20")
    assert message.endswith("(night shift): it lives")
    assert "--force" in said["errors"][0]["hint"]
    hold.check()
    hold.end()


def test_a_dead_holder_is_told_so(stack: Stack, unlock: Unlock) -> None:
    stack.run(stack.job({"a": (stack.spec(), [])}))
    dead = engine.Lock(Docker(2), stack.name, {"job": "x", "user": "ben", "host": "ci"})
    dead.take()
    said = unlock()
    assert said["exit_code"] == 2
    assert said["errors"][0]["message"].endswith("it has given no sign of life for 2 s")
    assert "takes over by itself" in said["errors"][0]["hint"]
    dead.release()


def test_force_takes_it_away_and_is_recorded(stack: Stack, unlock: Unlock) -> None:
    for _ in range(2):
        stack.run(stack.job({"a": (stack.spec(f"exec sleep {600 + stack.jobs}"), [])}))
    hold = locking.take(Session("dev", "update"), Docker(2), job(stack))
    said = unlock("--force", "-m", "the runner is gone")
    assert said["exit_code"] == 0
    assert (said["data"]["holder"]["user"], said["data"]["recorded"]) == ("ben", 2)
    assert stack.configs("lock") == []
    first, second = (config["Spec"]["Labels"] for config in stack.configs("release"))
    assert "unlocked" not in first
    assert " on " in second["unlocked"]
    assert "(lock of ben on ci, update since 20" in second["unlocked"]
    assert second["unlocked"].endswith(": the runner is gone")
    assert second["verdict"] == "good"
    hold.end()

    again = locking.take(Session("dev", "update"), Docker(2), job(stack))
    unlock("--force")
    assert stack.configs("release")[1]["Spec"]["Labels"]["unlocked"].count("lock of ben on ci") == 2
    again.end()


class Busy(Docker):
    """Somebody else writes to the release just before we do, twice."""

    conflicts = 0

    def label_config(self, config: Json, labels: dict[str, str]) -> None:
        if self.conflicts < 2:
            self.conflicts += 1
            super().label_config(config, {**config["Spec"]["Labels"], "verdict": f"changed {self.conflicts}"})
            raise ConflictError("update out of sequence")
        super().label_config(config, labels)


def test_what_somebody_else_writes_to_the_release_is_not_lost(stack: Stack) -> None:
    stack.run(stack.job({"a": (stack.spec(), [])}))
    assert unlocking.record(Busy(2), stack.name, "ana was here") == 1
    found = stack.configs("release")[0]["Spec"]["Labels"]
    assert (found["unlocked"], found["verdict"]) == ("ana was here", "changed 2")
