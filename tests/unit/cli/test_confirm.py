"""What asks before every change: refused where nobody can answer, the plan and a question on a terminal."""

from __future__ import annotations

import os
import pty
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.unit.cli.conftest import COMMAND, Call


def test_production_refuses_where_nobody_can_answer(call: Call, project: Path, no_ssh: Callable[[], bool]) -> None:
    said = call("production", "deploy")
    assert said.code == 2
    assert "production asks before every change, and there is no terminal to ask on" in said.err
    assert "Hint: llmdeploy production deploy --yes" in said.err
    assert no_ssh()


def test_so_does_an_environment_that_wants_to_be_asked(call: Call, project: Path, no_ssh: Callable[[], bool]) -> None:
    (project / "environments" / "staging.yml").write_text("confirm: true\n")
    said = call("staging", "deploy", "--json")
    assert said.code == 2
    assert said.envelope["errors"][0]["hint"] == "llmdeploy staging deploy --yes"
    assert no_ssh()


def test_json_never_asks_even_on_a_terminal(project: Path, no_ssh: Callable[[], bool]) -> None:
    with terminal("production", "deploy", "--json", cwd=project) as screen:
        assert screen.ended() == 2
    assert '"exit_code": 2' in screen.text
    assert no_ssh()


def test_reading_production_asks_nothing(call: Call, project: Path) -> None:
    assert call("production", "validate").code == 0
    assert call("production", "config", "stack").code == 0


@pytest.fixture
def local_production(project: Path) -> Path:
    """Production on this machine: its plan is read, and nothing more as long as nobody says yes."""
    if shutil.which("docker") and b"edge" in subprocess.run(["docker", "service", "ls"], capture_output=True).stdout:
        pytest.skip("a stack runs on this machine: its services stand in the way of another")
    (project / "inventory" / "production.ini").write_text("[app]\nlocalhost ansible_connection=local\n")
    return project


@pytest.mark.parametrize(
    ("answer", "code", "message"),
    [("n\n", 2, "not confirmed; nothing was changed"), ("\n", 2, "not confirmed"), ("\x03", 130, "interrupted")],
)
def test_on_a_terminal_the_plan_is_shown_and_the_question_asked(
    local_production: Path, answer: str, code: int, message: str
) -> None:
    with terminal("production", "deploy", cwd=local_production) as screen:
        screen.wait_for("Change production so? [y/N]: ")
        time.sleep(0.3)  # the question is read a moment after it is written
        assert "create" in screen.text  # the plan
        assert "store" in screen.text
        screen.type(answer)
        assert screen.ended() == code
    assert message in screen.text
    assert "Traceback" not in screen.text
    assert "bug" not in screen.text


class Screen:
    """A process on a pseudo terminal."""

    def __init__(self, pid: int, handle: int) -> None:
        self._pid, self._handle = pid, handle
        self._code: int | None = None
        self.text = ""

    def type(self, keys: str) -> None:
        os.write(self._handle, keys.encode())

    def wait_for(self, text: str, seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.text:
            assert time.monotonic() < deadline, f"no {text!r} in:\n{self.text}"
            assert self._read(), f"ended without {text!r}:\n{self.text}"

    def ended(self, seconds: float = 60.0) -> int:
        deadline = time.monotonic() + seconds
        while self._read():
            assert time.monotonic() < deadline, self.text
        self._code = os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        return self._code

    def close(self) -> None:
        if self._code is None:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        os.close(self._handle)

    def _read(self) -> bool:
        """Takes in what is there; False at the end."""
        if not select.select([self._handle], [], [], 1.0)[0]:
            return True
        try:
            piece = os.read(self._handle, 65536)
        except OSError:  # the other side is closed
            return False
        self.text += piece.decode(errors="replace")
        return bool(piece)


@contextmanager
def terminal(*words: str, cwd: Path) -> Iterator[Screen]:
    """Runs the command on a terminal of its own, so that Ctrl-C reaches it as a key."""
    pid, handle = pty.fork()
    if pid == 0:
        os.chdir(cwd)
        os.environ.update({"TERM": "xterm", "COLUMNS": "100", "LINES": "40"})
        os.execv(COMMAND, [str(COMMAND), *words])
    screen = Screen(pid, handle)
    try:
        yield screen
    finally:
        screen.close()
