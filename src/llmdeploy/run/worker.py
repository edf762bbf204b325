"""ansible-runner in a thread of its own; what it sees goes into a queue.

Traps this module knows (ansible-runner 2.4.3): `settings=` is dropped when env files are suppressed, so the file is
written here; the child inherits our whole environment, so it is replaced before the start; an exception in a handler
kills the thread silently, so none leaves it; its own signal handlers are never installed; a returned True keeps one
file per event.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import ansible_runner.interface
from ansible_runner.utils import get_callback_dir

from llmdeploy.errors import LlmdeployError

_SETTINGS = '{"pexpect_timeout": 0.2, "suppress_output_file": true}\n'
_NEEDED = (
    "AWX_ISOLATED_DATA_DIR",
    "RUNNER_OMIT_EVENTS",
    "RUNNER_ONLY_FAILED_EVENTS",
    "ANSIBLE_STDOUT_CALLBACK",
)


@dataclass(frozen=True)
class Done:
    """The last thing in the queue: Ansible's exit code (None: killed), or what went wrong in ansible-runner."""

    rc: int | None
    error: str = ""


@dataclass
class Worker:
    """One run of ansible-playbook. `queue` gets every raw event, then one `Done`."""

    run_dir: Path
    playbook: Path
    inventory: Path
    env: Mapping[str, str]
    on_stdout: Callable[[str], None]
    queue: SimpleQueue[Any]
    cancelled: bool = False  # set only while there is no process number yet: ansible-runner ends its child itself

    def start(self) -> threading.Thread:
        """Out: the running thread, a daemon."""
        thread = threading.Thread(target=self._run, name="ansible-runner", daemon=True)
        thread.start()
        return thread

    def _run(self) -> None:
        try:
            runner = self._prepare()
            runner.run()
            self.queue.put(Done(runner.rc))
        except BaseException as error:  # noqa: BLE001  # a thread that dies silently would hang the run
            self.queue.put(Done(None, f"{type(error).__name__}: {error}"))

    def _prepare(self) -> Any:
        for name in ("env", "tmp"):
            (self.run_dir / name).mkdir(mode=0o700, exist_ok=True)
        (self.run_dir / "env/settings").write_text(_SETTINGS)
        (self.run_dir / "ansible.cfg").write_text("[defaults]\n")
        runner = ansible_runner.interface.init_runner(
            private_data_dir=str(self.run_dir),
            project_dir=str(self.playbook.parent),
            playbook=str(self.playbook),
            inventory=str(self.inventory),
            envvars=dict(self.env),
            quiet=True,
            suppress_env_files=True,
            fact_cache_type="memory",
            event_handler=self._event,
            cancel_callback=lambda: self.cancelled,
        )
        runner.config.env = _minimal(runner.config.env, self.env)
        runner.config.command[0] = ansible_playbook()
        return runner

    def _event(self, event: dict[str, Any]) -> bool:
        """Never raises, never lets ansible-runner keep a file."""
        try:
            if event.get("stdout"):
                self.on_stdout(str(event["stdout"]))
            self.queue.put(event)
        except Exception:  # noqa: BLE001, S110
            pass
        return False


def _minimal(prepared: Mapping[str, str], ours: Mapping[str, str]) -> dict[str, str]:
    """Out: our variables and those ansible-runner itself needs; what it took from this process is left out."""
    added = {name: prepared[name] for name in _NEEDED if name in prepared}
    return {**added, "ANSIBLE_CALLBACK_PLUGINS": get_callback_dir(), **ours}


def ansible_playbook() -> str:
    """Out: the ansible-playbook beside this Python (the environment need not be activated), else the one on PATH."""
    beside = Path(sys.executable).parent / "ansible-playbook"
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("ansible-playbook")
    if not found:
        raise LlmdeployError(
            "ansible-playbook is not installed", hint="reinstall llmdeploy: ansible-core belongs to it"
        )
    return found
