"""A text in an editor is in memory, and gone afterwards, however that ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from llmdeploy.errors import SecretsError
from llmdeploy.secrets import editing
from llmdeploy.secrets.editing import MEMORY, edited, editor, memory_folder
from llmdeploy.secrets.programs import PASSWORD_VARIABLE

pytestmark = pytest.mark.skipif(not MEMORY.is_dir(), reason="no file system in memory here")


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of this test, which counts as memory."""
    folder = tmp_path / "memory"
    folder.mkdir()
    (tmp_path / "mounts").write_text(f"tmpfs {folder} tmpfs rw 0 0\n")
    monkeypatch.setattr(editing, "MEMORY", folder)
    monkeypatch.setattr(editing, "MOUNTS", tmp_path / "mounts")
    for name in ("VISUAL", "EDITOR"):
        monkeypatch.delenv(name, raising=False)
    return folder


def test_what_a_person_makes_of_it(
    memory: Path, tmp_path: Path, program: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = tmp_path / "seen"
    path = program(
        f'for last; do :; done\nstat -c %a "$last" "$(dirname "$last")" > {seen}\necho "$last" >> {seen}\n'
        f'cat "$last" >> {seen}\nenv >> {seen}\necho "b: c" > "$last.new"\nmv "$last.new" "$last"'
    )
    monkeypatch.setenv("EDITOR", f"{path} -x 'y z'")
    monkeypatch.setenv(PASSWORD_VARIABLE, "hunter2")
    monkeypatch.setenv("OF_CI", "hunter3")
    assert edited("a: ü\n", "dev.secrets.yml", hidden=["OF_CI"]) == "b: c\n"
    lines = seen.read_text().splitlines()
    assert lines[:2] == ["600", "700"]
    assert Path(lines[2]).parent.parent == memory
    assert (Path(lines[2]).name, lines[3]) == ("dev.secrets.yml", "a: ü")
    assert not [line for line in lines if "hunter" in line]
    assert not [*memory.iterdir()]


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("exit 3", "ended with exit code 3; nothing was changed"),
        ("kill -9 $$", "was ended by signal 9; nothing was changed"),
        ('rm "$1"', "has removed the file; nothing was changed"),
        ("printf '\\377' > \"$1\"", "not UTF-8 text; nothing was changed"),
        ('touch "$1~" "$(dirname "$1")/.swap"; exit 1', "nothing was changed"),
    ],
)
def test_an_editor_that_fails(
    memory: Path, program: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, script: str, why: str
) -> None:
    monkeypatch.setenv("VISUAL", str(program(script)))
    with pytest.raises(SecretsError, match=why):
        edited("a: b\n", "f")
    assert not [*memory.iterdir()]


def test_an_editor_that_is_not_there(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDITOR", "/none/such")
    with pytest.raises(SecretsError, match="the editor `/none/such` cannot be run: No such file") as caught:
        edited("a: b\n", "f")
    assert "EDITOR" in caught.value.hint
    assert not [*memory.iterdir()]


@pytest.mark.parametrize(
    "mounts", ["", "/dev/sda1 {} ext4 rw 0 0", "tmpfs {} tmpfs rw 0 0\n/dev/sda1 {} ext4 rw 0 0", "x"]
)
def test_without_memory_it_is_refused(memory: Path, tmp_path: Path, mounts: str) -> None:
    (tmp_path / "mounts").write_text(mounts.replace("{}", str(memory)))
    with pytest.raises(SecretsError, match="no file system in memory"):
        edited("a: b\n", "f")
    (tmp_path / "mounts").unlink()
    with pytest.raises(SecretsError, match="no file system in memory") as caught:
        memory_folder()
    assert "secrets set NAME" in caught.value.hint


@pytest.mark.parametrize(
    ("environ", "command"),
    [
        ({"VISUAL": "a b", "EDITOR": "c"}, ["a", "b"]),
        ({"VISUAL": "", "EDITOR": "code --wait"}, ["code", "--wait"]),
        ({"EDITOR": "'/a b/c'"}, ["/a b/c"]),
    ],
)
def test_whose_editor(environ: dict[str, str], command: list[str]) -> None:
    assert editor(environ) == command


@pytest.mark.parametrize("wanted", ["'", " "])
def test_an_editor_that_is_no_command(wanted: str) -> None:
    with pytest.raises(SecretsError, match="is no command"):
        editor({"EDITOR": wanted})


@pytest.mark.parametrize("name", ["vim.basic", "nvim"])
def test_vim_is_told_to_keep_nothing_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    real = tmp_path / name
    real.write_text("")
    real.chmod(0o700)
    (tmp_path / "vi").symlink_to(real)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert editor({})[:4] == ["vi", "-n", "-i", "NONE"]


PROGRAM = """
import pathlib, sys
from llmdeploy.secrets import editing
editing.MEMORY, editing.MOUNTS = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
try:
    editing.edited("a: b", "f")
except KeyboardInterrupt:
    sys.exit(130)
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 130), (signal.SIGHUP, 130), (signal.SIGINT, 0)])
def test_signals_leave_nothing_behind(
    memory: Path, tmp_path: Path, program: Callable[..., Path], number: signal.Signals, code: int
) -> None:
    """Ctrl-C is the editor's: here it goes on and ends well."""
    path = program(f"touch {tmp_path}/ready\nwhile [ ! -e {tmp_path}/go ]; do sleep 0.02; done")
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(memory), str(tmp_path / "mounts")],
        env={**os.environ, "EDITOR": str(path)},
    )
    try:
        until = time.monotonic() + 20
        while not (tmp_path / "ready").exists() and time.monotonic() < until:
            time.sleep(0.02)
        assert [*memory.iterdir()]
        process.send_signal(number)
        time.sleep(0.1)
        (tmp_path / "go").touch()
        assert process.wait(20) == code
    finally:
        (tmp_path / "go").touch()
        process.kill()
        process.wait()
    assert not [*memory.iterdir()]
