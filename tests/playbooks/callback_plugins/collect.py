"""Writes what every task did on every host as one JSON line, for the tests."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: collect
type: aggregate
short_description: Result lines for the tests
description: [Result lines for the tests]
"""


class CallbackModule(CallbackBase):  # type: ignore[misc]
    """One line per task and host."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "collect"

    def __init__(self) -> None:
        super().__init__()
        self._play = ""
        self._started: dict[tuple[str, str], float] = {}
        self._file = Path(os.environ["COLLECT"])

    def v2_playbook_on_play_start(self, play: Any) -> None:
        self._play = play.get_name()

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        self._started[task._uuid, host.get_name()] = time.time()

    def _write(self, state: str, result: Any) -> None:
        host, task = result.host.get_name(), result.task
        line = {
            "play": self._play,
            "task": task.get_name(),
            "action": task.action,
            "host": host,
            "state": state,
            "changed": bool(result.result.get("changed")),
            "seconds": round(time.time() - self._started.get((task._uuid, host), time.time()), 3),
            "result": result.result,
        }
        with self._file.open("a") as file:
            file.write(json.dumps(line, default=str) + "\n")

    def v2_runner_on_ok(self, result: Any) -> None:
        self._write("ok", result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        self._write("failed", result)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        self._write("unreachable", result)

    def v2_runner_on_skipped(self, result: Any) -> None:
        self._write("skipped", result)

    def v2_runner_retry(self, result: Any) -> None:
        self._write("retry", result)
