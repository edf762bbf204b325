"""The four ways to give the password, in their order, and what is refused."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from llmdeploy.errors import Exit, LlmdeployError, SecretsError, UsageError
from llmdeploy.secrets import programs
from llmdeploy.secrets.password import (
    FILE_VARIABLE,
    KEPT,
    Password,
    find_password,
    new_password,
    password_of_file,
)
from llmdeploy.secrets.programs import PASSWORD_VARIABLE


def secret_file(path: Path, content: str, mode: int = 0o600) -> Path:
    path.write_text(content)
    path.chmod(mode)
    return path


def answers(*given: str) -> Callable[[str], str]:
    """Somebody who types these one after the other."""
    rest = list(given)
    return lambda _: rest.pop(0)


def test_the_order(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    file = secret_file(outside / "file", "of the file\n")
    environ = {FILE_VARIABLE: str(file), PASSWORD_VARIABLE: "of the variable\n"}
    secret_file(tmp_path / KEPT, "kept\n")
    found = []
    ask = answers("typed")
    for way in (FILE_VARIABLE, PASSWORD_VARIABLE, KEPT, None):
        password = find_password(tmp_path, environ, ask)
        found.append((password.value, password.source))
        environ.pop(way or "", None)
        if way == KEPT:
            (tmp_path / KEPT).unlink()
    assert found == [
        (b"of the file", f"{FILE_VARIABLE} ({file})"),
        (b"of the variable", PASSWORD_VARIABLE),
        (b"kept", KEPT),
        (b"typed", "the terminal"),
    ]


def test_none_at_all_names_the_four_ways(tmp_path: Path) -> None:
    with pytest.raises(SecretsError) as caught:
        find_password(tmp_path, {FILE_VARIABLE: "", PASSWORD_VARIABLE: ""}, None)
    assert caught.value.exit_code == Exit.CONFIG
    lines = caught.value.message.splitlines()
    assert len(lines) == 5
    for line, way in zip(lines[1:], (FILE_VARIABLE, PASSWORD_VARIABLE, KEPT, "terminal"), strict=True):
        assert way in line


def test_a_person_is_asked_once(tmp_path: Path) -> None:
    ask = answers("first")
    assert find_password(tmp_path, {}, ask) is find_password(tmp_path, {}, ask, new=True)


def test_a_person_is_asked_twice_for_a_new_file(tmp_path: Path) -> None:
    assert find_password(tmp_path, {}, answers("one", "one"), new=True).value == b"one"


@pytest.mark.parametrize(("typed", "why"), [(("a", "b"), "not the same"), (("",), "nothing was typed")])
def test_what_is_typed_twice_must_be_something_and_the_same(tmp_path: Path, typed: tuple[str, ...], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        find_password(tmp_path, {}, answers(*typed), new=True)
    with pytest.raises(UsageError, match=why):
        new_password("?", answers(*typed))
    with pytest.raises(UsageError, match="empty"):
        find_password(tmp_path, {}, answers(""))


def test_the_password_is_in_no_representation() -> None:
    assert "hunter2" not in repr(Password(b"hunter2", "a test"))


@pytest.mark.parametrize("content", ["p w\n", "p w", "  p w \r\n"])
def test_a_file_is_taken_as_ansible_vault_takes_it(tmp_path: Path, content: str) -> None:
    assert password_of_file(secret_file(tmp_path / "f", content), "x").value == b"p w"


def test_a_pipe_of_the_shell_will_do(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"of a pipe\n")
    os.close(writing)
    try:
        assert password_of_file(Path(f"/dev/fd/{reading}"), "x").value == b"of a pipe"
    finally:
        os.close(reading)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
@pytest.mark.parametrize("kept", [True, False])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int, kept: bool) -> None:
    file = secret_file(tmp_path / KEPT, "hunter2", mode)
    with pytest.raises(SecretsError) as caught:
        find_password(tmp_path, {} if kept else {FILE_VARIABLE: str(file)}, None)
    assert (caught.value.exit_code, caught.value.hint) == (Exit.CONFIG, f"chmod 600 {file}")
    assert f"mode {mode:04o}" in caught.value.message


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("", "it is empty"),
        (" \n", "it is empty"),
        pytest.param("x" * 70_000, "larger than 64 KB", id="large"),
        (None, "No such file"),
    ],
)
def test_a_file_that_gives_none(tmp_path: Path, content: str | None, why: str) -> None:
    file = tmp_path / "f"
    if content is not None:
        secret_file(file, content)
    with pytest.raises(SecretsError, match=why) as caught:
        find_password(tmp_path, {FILE_VARIABLE: str(file)}, None)
    assert caught.value.message.startswith(f"{FILE_VARIABLE} ({file})")


def test_a_variable_with_a_line_break_alone(tmp_path: Path) -> None:
    with pytest.raises(SecretsError, match=f"{PASSWORD_VARIABLE} gives no password: it is empty"):
        find_password(tmp_path, {PASSWORD_VARIABLE: "\n"}, None)


def test_a_folder_is_no_password(tmp_path: Path) -> None:
    with pytest.raises(SecretsError, match="Is a directory"):
        find_password(tmp_path, {FILE_VARIABLE: str(tmp_path)}, None)


def test_a_program_prints_it(tmp_path: Path, program: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PASSWORD_VARIABLE, "not for children")
    path = program(f'echo noise >&2\nprintf "%s\\n" "spaces kept  ${{{PASSWORD_VARIABLE}}}"')
    assert find_password(tmp_path, {FILE_VARIABLE: str(path)}, None).value == b"spaces kept  "


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo hunter2; echo locked >&2; exit 3", "`{path}` ended with exit code 3: locked"),
        ("echo hunter2; exit 1", "`{path}` ended with exit code 1"),
        ("echo hunter2; kill -9 $$", "`{path}` was ended by signal 9"),
        ("", "gives no password: it is empty"),
        ("echo hunter2; sleep 60", "`{path}` has not ended within 0 s"),
    ],
)
def test_a_program_that_gives_none(
    tmp_path: Path, program: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, script: str, why: str
) -> None:
    monkeypatch.setattr(programs, "DEADLINE", 0.3)
    path = program(script)
    with pytest.raises(SecretsError) as caught:
        find_password(tmp_path, {FILE_VARIABLE: str(path)}, None)
    assert caught.value.message.startswith(f"{FILE_VARIABLE} ({path})")
    assert why.format(path=path) in caught.value.message
    assert "hunter2" not in caught.value.message + caught.value.hint


def test_a_text_that_is_marked_executable_says_so(tmp_path: Path) -> None:
    file = secret_file(tmp_path / "f", "hunter2", 0o700)
    with pytest.raises(SecretsError, match="cannot be run: Exec format error") as caught:
        find_password(tmp_path, {FILE_VARIABLE: str(file)}, None)
    assert "hunter2" not in str(caught.value)


def test_the_file_in_the_project_is_no_program(tmp_path: Path) -> None:
    secret_file(tmp_path / KEPT, "#!/bin/sh\ntouch ran\n", 0o700)
    with pytest.raises(SecretsError, match="is a program; it must be the password itself"):
        find_password(tmp_path, {}, None)
    assert not (tmp_path / "ran").exists()
    secret_file(tmp_path / KEPT, "", 0o600)
    with pytest.raises(SecretsError, match="is empty"):
        find_password(tmp_path, {}, None)


def git(folder: Path, *words: str) -> None:
    subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True, timeout=30)


def test_the_file_in_the_project_must_be_ignored_by_git(tmp_path: Path) -> None:
    git(tmp_path, "init")
    secret_file(tmp_path / KEPT, "x")
    with pytest.raises(LlmdeployError, match="is not ignored by git") as caught:
        find_password(tmp_path, {}, None)
    assert f"echo {KEPT} >> .gitignore" in caught.value.hint
    git(tmp_path, "add", KEPT)
    (tmp_path / ".gitignore").write_text(f"{KEPT}\n")
    with pytest.raises(SecretsError, match="is not ignored by git"):  # for git has it already
        find_password(tmp_path, {}, None)
    git(tmp_path, "rm", "--cached", KEPT)
    assert find_password(tmp_path, {}, None).value == b"x"
    below = tmp_path / "project"
    below.mkdir()
    secret_file(below / KEPT, "y")  # a project in a folder of the work tree
    assert find_password(below, {}, None).value == b"y"
