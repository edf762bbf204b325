"""Which release `attach` shows."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from llmdeploy.cluster import jobs
from llmdeploy.cluster.access import Access
from llmdeploy.engine import run as engine
from llmdeploy.engine.detach import lock_pid
from llmdeploy.engine.progress import Progress


@pytest.fixture
def living(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "living").mkdir()
    lock = lock_pid(tmp_path / "living")
    yield lock
    os.close(lock)


def job(folder: Path, when: int, verdict: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "job.json").write_text(json.dumps({"id": folder.name}))
    os.utime(folder / "job.json", (when, when))
    if verdict:
        Progress(folder).write("end", verdict=verdict)


def newest(folder: Path) -> str:
    text = (jobs._progress() + jobs._NEWEST).replace(repr(jobs.JOBS), repr(str(folder)))
    done = subprocess.run([sys.executable, "-I", "-"], input=text, capture_output=True, text=True, check=True)
    return str(json.loads(done.stdout)["id"])


def test_the_one_that_was_locked_out_hides_nobody(tmp_path: Path, living: int) -> None:
    job(tmp_path / "old", 1, "done")
    job(tmp_path / "living", 2, "")
    job(tmp_path / "refused", 3, "locked")
    assert newest(tmp_path) == "living"


def test_else_it_is_the_newest_that_did_something(tmp_path: Path) -> None:
    assert newest(tmp_path) == ""
    job(tmp_path / "refused", 3, "locked")
    assert newest(tmp_path) == "refused"
    job(tmp_path / "old", 1, "done")
    job(tmp_path / "newer", 2, "unhealthy")
    assert newest(tmp_path) == "newer"


def ask_to_stop(jobs_folder: Path, name: str, patch: pytest.MonkeyPatch) -> bool:
    patch.setattr(jobs, "JOBS", str(jobs_folder))
    return jobs.request_stop(jobs.Running(Access("here", "127.0.0.1", (), become=False), {"id": name}))


def test_a_release_that_had_not_begun_never_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "jobs"  # a new host has none yet
    assert ask_to_stop(folder, "late", monkeypatch) is False
    with pytest.raises(FileExistsError):
        engine.prepare(folder, {"id": "late"}, {})
    assert newest(folder) == ""


def test_one_that_had_begun_is_told_to_stop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = engine.prepare(tmp_path / "jobs", {"id": "begun"}, {})
    assert ask_to_stop(folder.parent, "begun", monkeypatch) is True
    assert (folder / "stop").exists()
