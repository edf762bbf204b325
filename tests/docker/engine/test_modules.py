"""The Ansible modules, driven by a real playbook on this machine."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from llmdeploy import engine
from llmdeploy.engine.progress import alive, read

from .conftest import Stack

pytestmark = pytest.mark.docker
ROOT = Path(__file__).parents[3]
PLAYBOOK = [
    {
        "hosts": "localhost", "connection": "local", "gather_facts": False,
        "tasks": [
            {"name": "start", "register": "release",
             "llmdeploy_release": {"job": "{{ job }}", "pins": "{{ pins }}", "state_dir": "{{ state }}"}},
            {"name": "follow", "llmdeploy_follow": {"job_dir": "{{ release.job_dir }}", "viewer": "ana"},
             "register": "r", "until": "r.done", "retries": 1000, "delay": 0, "when": "release.job_dir is defined"},
        ],
    }
]  # fmt: skip


def start(stack: Stack, job: dict[str, Any], folder: Path, *more: str) -> subprocess.Popen[str]:
    """Start the playbook, in a session of its own."""
    for name in ("utils", "callbacks"):
        (folder / name).mkdir(exist_ok=True)
    if not (folder / "utils/engine").exists():  # a folder that holds only this: `errors` would hide Ansible's own
        (folder / "utils/engine").symlink_to(Path(engine.__file__).parent)
    (folder / "callbacks/lines.py").write_text(CALLBACK)
    (folder / "play.json").write_text(json.dumps(PLAYBOOK))
    given = {"job": job, "pins": stack.pins, "state": str(stack.folder), "ansible_python_interpreter": sys.executable}
    (folder / "vars.json").write_text(json.dumps(given))
    env = {
        **os.environ, "ANSIBLE_LIBRARY": str(ROOT / "playbooks/library"), "ANSIBLE_MODULE_UTILS": str(folder / "utils"),
        "ANSIBLE_CALLBACK_PLUGINS": str(folder / "callbacks"), "ANSIBLE_STDOUT_CALLBACK": "lines",
        "ANSIBLE_LOCAL_TEMP": str(folder / "tmp"), "ANSIBLE_HOME": str(folder / "home"),
    }  # fmt: skip
    command = [str(Path(sys.executable).parent / "ansible-playbook"), "-i", "localhost,", "-e", f"@{folder}/vars.json"]
    return subprocess.Popen(
        [*command, *more, str(folder / "play.json")], env=env, stdout=subprocess.PIPE, text=True, start_new_session=True
    )


def play(stack: Stack, job: dict[str, Any], folder: Path, *more: str) -> dict[str, dict[str, Any]]:
    """Run the playbook; the last result of each task by its name, and all lines."""
    said, _ = start(stack, job, folder, *more).communicate(timeout=60)
    results: dict[str, dict[str, Any]] = {"lines": {"lines": []}}
    for line in said.splitlines():
        if line.startswith("{"):
            told = json.loads(line)
            results[told["task"]] = told["result"]
            results["lines"]["lines"] += told["result"].get("lines") or []
    assert "start" in results, said
    return results


CALLBACK = '''
import json
from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: lines
type: stdout
short_description: one JSON line per result
description: one JSON line per result
"""

class CallbackModule(CallbackBase):
    CALLBACK_VERSION, CALLBACK_TYPE, CALLBACK_NAME = 2.0, "stdout", "lines"

    def _tell(self, result, **_):
        self._display.display(json.dumps({"task": result.task.name, "result": result.result}, default=str))

    v2_runner_on_ok = v2_runner_on_failed = v2_runner_retry = v2_runner_on_skipped = _tell
'''


@pytest.fixture(autouse=True)
def _needs_ansible() -> None:
    if not shutil.which("ansible-playbook", path=str(Path(sys.executable).parent)):
        pytest.skip("ansible-playbook is not installed beside this Python")


def test_a_release_from_a_playbook_then_nothing_to_do(stack: Stack, tmp_path: Path) -> None:
    job = stack.job({"a": (stack.spec(), []), "b": (stack.spec(), ["a"])})
    told = play(stack, job, tmp_path, "--check")
    assert told["start"]["changed"]
    assert [item["action"] for item in told["start"]["lines"][0]["services"]] == ["create", "create"]
    assert not stack.folder.exists()

    told = play(stack, job, tmp_path)
    assert not told["start"]["changed"]
    assert (told["follow"]["done"], told["follow"]["verdict"], told["follow"]["exit"]) == (True, "done", 0)
    assert not told["follow"]["changed"]
    assert told["lines"]["lines"] == read(Path(told["start"]["job_dir"]))[0]

    job["id"] = "next"
    told = play(stack, job, tmp_path)
    assert told["start"]["unchanged"]
    assert told["start"]["verdict"] == "unchanged"
    assert not (stack.folder / "next").exists()


def test_a_refused_job_fails_the_task_and_starts_nothing(stack: Stack, tmp_path: Path) -> None:
    stack.pins.clear()
    told = play(stack, stack.job({"a": (stack.spec(), [])}), tmp_path)
    assert "nobody has pinned the image shell" in told["start"]["msg"]
    assert not stack.folder.exists()


def test_the_engine_goes_on_when_the_playbook_is_killed(stack: Stack, tmp_path: Path) -> None:
    job = stack.job({"a": (stack.spec(), []), "b": (stack.spec(), ["a"])})
    playbook = start(stack, job, tmp_path)
    folder, deadline = stack.folder / job["id"], time.monotonic() + 30
    while not read(folder)[0]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(playbook.pid, signal.SIGKILL)
    playbook.communicate()
    while alive(folder):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert read(folder)[0][-1]["verdict"] == "done"
