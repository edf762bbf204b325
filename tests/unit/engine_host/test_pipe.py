"""Streams between commands, with a sudo that asks, one that does not, and one that refuses."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from llmdeploy.engine.host_pipe import PipeError, Place, stream

HERE = Place("here")
FAKE_SUDO = """#!/bin/sh
# -S -p PROMPT command…
shift 3
[ "$1" ] || exit 1
{body}
exec "$@"
"""
ASKS = """
printf '%s' llmdeploy-password: >&2
read -r answer
[ "$answer" = secret ] || { printf '%s' llmdeploy-password: >&2; sleep 20; }
"""


def test_a_file_into_a_command(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x" * 3_000_000)
    assert stream(tmp_path / "a", (HERE, ["wc", "-c"]), 10).strip() == "3000000"


def test_one_command_into_another() -> None:
    assert stream((HERE, ["echo", "two words"]), (HERE, ["tr", "a-z", "A-Z"]), 10) == "TWO WORDS\n"


def test_through_something_like_ssh() -> None:
    """What ssh is given is one word that a shell reads."""
    there = Place("there", ssh=("sh", "-c"))
    assert stream((there, ["echo", "a  'b' $HOME"]), (there, ["cat"]), 10) == "a  'b' $HOME\n"


def test_a_sender_that_fails_is_named() -> None:
    with pytest.raises(PipeError, match=r"(?s)sh -c echo oops.* on there failed \(exit 3\): oops"):
        stream((Place("there"), ["sh", "-c", "echo oops >&2; exit 3"]), (HERE, ["cat"]), 10)


def test_a_receiver_that_goes_away_does_not_leave_the_sender_waiting() -> None:
    began = time.monotonic()
    with pytest.raises(PipeError, match=r"(?s)on here failed \(exit 4\): full"):
        stream((HERE, ["cat", "/dev/zero"]), (HERE, ["sh", "-c", "echo full >&2; exit 4"]), 30)
    assert time.monotonic() - began < 10


def test_the_deadline_ends_both() -> None:
    began = time.monotonic()
    with pytest.raises(PipeError, match="one → two: no end after 1 s"):
        stream((Place("one"), ["sleep", "30"]), (Place("two"), ["cat"]), 0.5 + 0.2)
    assert time.monotonic() - began < 10


def sudo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    program = tmp_path / "sudo"
    program.write_text(FAKE_SUDO.replace("{body}", body))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


@pytest.mark.parametrize("body", [ASKS, ""])
def test_the_password_never_reaches_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    sudo(tmp_path, monkeypatch, body)
    place = Place("there", become=True, password="secret")
    (tmp_path / "a").write_text("content")
    assert stream(tmp_path / "a", (place, ["cat"]), 10) == "content"
    assert stream((place, ["echo", "hi"]), (place, ["cat"]), 10) == "hi\n"


def test_a_wrong_password_ends_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sudo(tmp_path, monkeypatch, ASKS)
    (tmp_path / "a").write_text("content")
    began = time.monotonic()
    with pytest.raises(PipeError) as error:
        stream(tmp_path / "a", (Place("there", become=True, password="wrong"), ["cat"]), 30)
    assert time.monotonic() - began < 10
    assert "wrong" not in repr(Place("there", become=True, password="wrong"))
    assert "sudo refused the password" in str(error.value)
