"""The lab from the command line, as docs/development.md tells."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]


def lab(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tests.lab", *words], cwd=ROOT, capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_up_inventory_ssh_and_down() -> None:
    try:
        assert "lab mine is up" in lab("up", "--name", "mine", "--hosts", "head,b", "--bare", "b")
        assert "head-server ansible_host=" in lab("inventory", "--name", "mine")
        assert lab("ssh", "--name", "mine", "head", "docker", "version", "--format", "{{.Server.Version}}").strip()
        assert lab("ssh", "--name", "mine", "b", "command -v dockerd || echo none").strip() == "none"
    finally:
        lab("down", "--name", "mine")
