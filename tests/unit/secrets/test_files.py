"""Files are written whole or not at all, and nobody else can read them at any moment."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from llmdeploy.errors import SecretsError
from llmdeploy.secrets import files


def test_mode_and_content_whatever_the_umask_is(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_text("old")
    file.chmod(0o644)
    before = os.umask(0)
    try:
        files.replace_all({file: b"new", tmp_path / "b": b"other"})
    finally:
        os.umask(before)
    for name, content in (("a", b"new"), ("b", b"other")):
        assert (tmp_path / name).read_bytes() == content
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_what_is_there_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, seen = tmp_path / "a", []
    file.write_bytes(b"old")
    real = os.replace

    def watched(source: Path, target: Path) -> None:
        (temporary,) = {*tmp_path.iterdir()} - {file}
        seen.append((temporary.read_bytes(), temporary.stat().st_mode & 0o777, file.read_bytes()))
        real(source, target)

    monkeypatch.setattr(os, "replace", watched)
    files.replace_all({file: b"new"})
    assert seen == [(b"new", 0o600, b"old")]


@pytest.mark.parametrize("failing", [1, 2, 3])
def test_all_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int) -> None:
    """`a` and `b` were there, `c` was not; one of the moves fails."""
    for name in "ab":
        (tmp_path / name).write_bytes(b"old " + name.encode())
    real, moves = os.replace, iter(range(1, 9))

    def failing_once(source: Path, target: Path) -> None:
        if next(moves) == failing:
            raise OSError(28, "No space left on device")
        real(source, target)

    monkeypatch.setattr(os, "replace", failing_once)
    with pytest.raises(SecretsError, match="cannot write c, a, b: No space left on device; nothing was changed"):
        files.replace_all({tmp_path / name: b"new" for name in "cab"})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"old a", "b": b"old b"}


def test_a_full_disk_leaves_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SecretsError, match="nothing was changed"):
        files.replace_all({tmp_path / "a": b"new"})
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("a", b"old")]


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "a").write_bytes(b"old")
    for name in ("one", "two"):
        (tmp_path / name).symlink_to("shared/a")
    files.replace_all({tmp_path / "one": b"new", tmp_path / "two": b"new"})
    assert (tmp_path / "one").is_symlink()
    assert (tmp_path / "two").read_bytes() == b"new"
    assert [path.name for path in (tmp_path / "shared").iterdir()] == ["a"]


def test_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert files.read(tmp_path / "none") is None
    with pytest.raises(SecretsError, match="cannot be read: Is a directory"):
        files.read(tmp_path)
    monkeypatch.setattr(files, "LIMIT", 3)
    (tmp_path / "a").write_bytes(b"1234")
    with pytest.raises(SecretsError, match="is larger than"):
        files.read(tmp_path / "a")


def test_one_after_the_other(tmp_path: Path) -> None:
    order = []

    def second() -> None:
        with files.alone(tmp_path):
            order.append("second")

    with files.alone(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.05)
        order.append("first")
    thread.join(5)
    assert order == ["first", "second"]


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SecretsError, match="cannot be used"), files.alone(tmp_path / "file" / "below"):
        pass
