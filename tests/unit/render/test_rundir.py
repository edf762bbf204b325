"""The run directory: private, gone afterwards, and what killed commands have left is taken away."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from llmdeploy.render import rundir

HOLD = """
import sys, time
from pathlib import Path
from llmdeploy.render import rundir
rundir._MEMORY = Path(sys.argv[1])
with rundir.run_directory() as path:
    print(path, flush=True)
    time.sleep(60)
"""


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(rundir, "_MEMORY", tmp_path)
    return tmp_path


def test_it_is_private_and_gone_afterwards(memory: Path) -> None:
    with rundir.run_directory() as path:
        assert path.parent == memory
        assert path.stat().st_mode & 0o777 == 0o700
        (path / "secrets.json").write_text("{}")
    assert list(memory.iterdir()) == []


def test_what_a_killed_command_has_left_goes_and_what_a_living_one_has_stays(memory: Path) -> None:
    one, other = (
        subprocess.Popen([sys.executable, "-c", HOLD, str(memory)], stdout=subprocess.PIPE, text=True) for _ in "ab"
    )
    try:
        assert one.stdout
        assert other.stdout
        left, alive = Path(one.stdout.readline().strip()), Path(other.stdout.readline().strip())
        one.send_signal(signal.SIGKILL)
        one.wait(10)
        assert left.is_dir()
        foreign = memory / "llmd-new"  # made in this moment by somebody who has not come further
        foreign.mkdir()
        with rundir.run_directory():
            assert not left.exists()
            assert alive.is_dir()
            assert foreign.is_dir()
    finally:
        one.kill()
        other.kill()
        one.wait(10)
        other.wait(10)
