"""Who makes a release, at which revision of the project, and what the ledger keeps of it."""

from __future__ import annotations

import subprocess
from dataclasses import asdict
from pathlib import Path

import pytest

from llmdeploy.cli.making import who
from llmdeploy.engine.attempt import labels

COMMITTED = 1795456000


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with one commit of a known time."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "ana")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "ana@example.com")
    monkeypatch.setenv("GIT_AUTHOR_DATE", f"{COMMITTED - 5000} +0000")
    monkeypatch.setenv("GIT_COMMITTER_DATE", f"{COMMITTED} +0200")
    (tmp_path / "file").write_text("one")
    for words in (["init", "-q"], ["add", "file"], ["-c", "commit.gpgsign=no", "commit", "-q", "-m", "first"]):
        subprocess.run(["git", *words], cwd=tmp_path, check=True, timeout=20)
    return tmp_path


def test_a_release_knows_when_its_revision_was_committed(repository: Path) -> None:
    by = who(repository, "why")
    assert (len(by.git), by.dirty, by.git_time) == (12, False, COMMITTED)
    kept = labels({"id": "x", "by": asdict(by)})
    assert (kept["git"], kept["git_time"]) == (by.git, str(COMMITTED))


def test_no_setting_of_git_comes_between(repository: Path) -> None:
    for name, value in (("log.showSignature", "true"), ("log.date", "relative"), ("format.pretty", "full")):
        subprocess.run(["git", "config", name, value], cwd=repository, check=True, timeout=20)
    assert who(repository, "").git_time == COMMITTED


def test_without_a_commit_there_is_no_time(tmp_path: Path) -> None:
    by = who(tmp_path, "")
    assert (by.git, by.dirty, by.git_time) == ("", False, 0)
    assert labels({"id": "x", "by": asdict(by)})["git_time"] == ""
    old = {"user": "ana", "git": "1a2b3c4"}  # a job that an older llmdeploy has made
    assert labels({"id": "x", "by": old})["git_time"] == ""
