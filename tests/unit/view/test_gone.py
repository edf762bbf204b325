"""A closed terminal and a reader that has left: no error, the same exit code; a full disk: the screen goes on."""

from __future__ import annotations

import io
import sys

import pytest

from llmdeploy.errors import Exit, LlmdeployError
from llmdeploy.events import PhaseStarted
from llmdeploy.view import ViewMode, make_view, show_error, show_outcome


class Closed(io.StringIO):
    """A stream nobody reads any more."""

    def write(self, _: str) -> int:
        raise OSError(5, "Input/output error")


def test_a_closed_terminal_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, Closed())
    with make_view(ViewMode(plain=True), environment="dev", action="deploy") as view:
        view.on_event(PhaseStarted("Look"))
        view.say("still there?")
    show_outcome("dev validate", "validate", {"hosts": 1, "services": 1, "waves": []}, exit_code=Exit.DONE)
    show_error("dev deploy", LlmdeployError("no"))
    print("nobody reads this, and it does no harm")
    sys.stdout.flush()


def test_a_full_disk_takes_only_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    with make_view(ViewMode(plain=True), environment="dev", action="deploy", log=None) as view:
        view._views.insert(0, make_view(ViewMode(plain=True), environment="", action="", out=Closed())._views[0])
        view.on_event(PhaseStarted("Look"))
    assert "Look" in capsys.readouterr().out
