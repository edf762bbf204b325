"""A container that wants something of whoever looks at it: its labels, its log, its health check and its task's error
are full of what terminals act on. The release with it fails, and nothing of that reaches a terminal or a program."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from llmdeploy.events import Event, Failure, parse_progress
from llmdeploy.view.make import ViewMode, make_view
from tests.docker.engine.conftest import Stack, end, failure

from .conftest import COMMAND, Reader, reader

pytestmark = pytest.mark.docker

# Clears the screen, sets the window's title, a link, asks the terminal to answer, the same as C1 controls, colours,
# goes back to overwrite the line; then writes from right to left, breaks the line and is long.
EVIL = (
    "\x1b[2J\x1b]0;pwned\x07\x1b]8;;http://evil.example\x1b\\link\x1b]8;;\x1b\\\x1b[6n\x1bP+q544e\x1b\\"
    "\u009b31m\u009d0;pwned\u009c\x1b[31mred\rover\x08\x7f\x00\u202egnp\u2066\u200b\u2028next\u0085line"
)
LINE = EVIL.replace("\x00", "") + "\n✓ all is well\n"  # what labels and command lines can hold
# What a terminal, or a program that trusts a line to be one, must never be given.
ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]")
OWN = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\?25[hl]|\r\n")  # our own colours and line breaks, on a terminal
BYTES = "".join(rf"\0{byte:o}" for byte in EVIL.encode())
LOG = rf"printf '%b' '{BYTES}\n::error::{'x' * 20_000}\nlast words\n'; exit 3"


@pytest.fixture(scope="module")
def failed(client: Any, image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stack, list[Any]]]:
    """A stack whose second release has failed, and what its engine has told. Left as it was, to be looked at."""
    stack = Stack(client, image, tmp_path_factory.mktemp("jobs"))
    labels = {"evil": LINE, "llmdeploy.reason": LINE}
    web, odd = stack.spec(Labels=labels), stack.spec(Labels=labels)
    for spec in (web, odd):
        spec["Labels"] |= {"evil": LINE, f"evil.{LINE}": "x"}
    by = {"user": LINE, "host": LINE, "message": LINE, "git": LINE}
    assert end(stack.run(stack.job({"web": (web, [])}, by=by)))["verdict"] == "done"
    odd["TaskTemplate"]["ContainerSpec"]["Command"] = [f"/no/such/{LINE}"]
    unhealthy = stack.spec(Labels=labels)
    test = ["CMD", "sh", "-c", LOG.replace("exit 3", "exit 1")]
    unhealthy["TaskTemplate"]["ContainerSpec"]["Healthcheck"]["Test"] = test
    crash = stack.spec(LOG, Labels=labels)
    services: dict[str, Any] = {"web": (web, []), "crash": (crash, []), "odd": (odd, []), "sick": (unhealthy, [])}
    job = stack.job(services, by=by, on_failure="keep", pace="at-once")
    for entry in job["services"].values():
        entry["wave"], entry["deadline"] = 1, 15.0
    lines = stack.run(job)
    yield stack, lines
    stack.clean()


def events(lines: list[Any]) -> list[Event]:
    """As they come from the manager: as text."""
    return [event for line in lines if (event := parse_progress(json.loads(json.dumps(line))))]


def test_the_release_fails_and_says_why(failed: tuple[Stack, list[Any]]) -> None:
    """The log is there, with nothing in it that acts; a huge line is cut."""
    stack, lines = failed
    assert end(lines)["exit"] == 7
    assert failure(lines)
    found = [event for event in events(lines) if isinstance(event, Failure)]
    crash = next(event for event in found if event.service == stack.service("crash"))
    assert crash.log[-1] == "last words"
    assert max(map(len, crash.log)) <= 500
    assert not ACTS.findall("".join(crash.log))


@pytest.mark.parametrize(
    "mode", [ViewMode(plain=True, verbose=1), ViewMode(json=True), ViewMode(), ViewMode(quiet=True)]
)
@pytest.mark.parametrize("environ", [{}, {"GITHUB_ACTIONS": "true"}], ids=["here", "github"])
def test_what_is_shown_of_it_while_it_runs(
    failed: tuple[Stack, list[Any]], mode: ViewMode, environ: dict[str, str]
) -> None:
    out, log = io.StringIO(), io.StringIO()
    with make_view(mode, environment="dev", action="deploy", log=log, out=out, environ=environ) as view:
        for event in events(failed[1]):
            view.on_event(event)
    assert "last words" in log.getvalue()
    for text in (out.getvalue(), log.getvalue()):
        assert not ACTS.findall(text), text
    if not mode.json:  # a line of a log is no command to whoever runs us
        assert not re.search(r"^::error::x", out.getvalue(), re.MULTILINE)


@pytest.fixture
def call(failed: tuple[Stack, list[Any]], tmp_path_factory: pytest.TempPathFactory) -> Reader:
    """The command, in a project of that stack."""
    return reader(failed[0], tmp_path_factory.mktemp("project"))


@pytest.mark.parametrize("words", ["status --json", "history show 2 --json"])
def test_what_a_program_is_given(call: Reader, words: str) -> None:
    """Everything, as it is in the cluster; but escaped, so that it does no harm on a terminal either."""
    said = call(f"dev {words}")
    assert said.returncode in (0, 7), said
    assert not ACTS.findall(said.stdout + said.stderr), said.stdout
    data = json.loads(said.stdout)["data"]
    assert (data.get("release") or data)["user"] == LINE


@pytest.mark.parametrize("words", ["status", "history", "history show 2", "history diff 1 2"])
def test_what_a_terminal_is_given(call: Reader, words: str) -> None:
    """Colours are ours, and nothing else is; nor is there a line that somebody else has written."""
    master, inner = pty.openpty()
    process = subprocess.Popen(
        [COMMAND, "dev", *words.split()],
        cwd=call.root, env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "200"},
        stdin=subprocess.DEVNULL, stdout=inner, stderr=inner,
    )  # fmt: skip
    os.close(inner)
    text = b""
    with suppress(OSError):  # how Linux says that the other side is closed
        while piece := os.read(master, 65536):
            text += piece
    os.close(master)
    assert process.wait(30) in (0, 7), text
    shown = OWN.sub(lambda found: "\n" if found[0] == "\r\n" else "", text.decode())
    assert "gnp" in shown or words == "history diff 1 2", "what is harmless of it is there"
    assert not ACTS.findall(shown), shown
    assert not re.search(r"^\W*all is well", shown, re.MULTILINE), shown
