"""The command line in this process (quick) and as a process of its own (real)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from llmdeploy.cli.main import main

COMMAND = Path(sys.executable).parent / "llmdeploy"

CATALOGUE = """\
stack: {stack}
tls: {{mode: off, allow_plaintext: true}}
edge: {{image: "example.invalid/edge:1"}}
defaults: {{image: "example.invalid/app:1", group: app}}
services:
  web:
    ports: [{{number: 18999, protocol: http, published: true}}]
    depends_on: [store]
  store:
    ports: [{{number: 6379, protocol: tcp}}]
"""


@dataclass(frozen=True)
class Said:
    """What a call of the command ended with."""

    code: int
    out: str
    err: str

    @property
    def envelope(self) -> dict[str, Any]:
        """The one JSON envelope, which must be all there is."""
        assert self.out.count("\n") == 1, self.out
        assert not self.err
        made: dict[str, Any] = json.loads(self.out)
        assert set(made) == {"llmdeploy", "command", "status", "exit_code", "data", "errors"}
        assert made["exit_code"] == self.code
        assert all({"message", "hint"} <= set(error) for error in made["errors"])
        assert bool(made["errors"]) == (self.code not in (0, 10))
        return made


Call = Callable[..., Said]


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Call:
    """Calls the command in this process, as its entry point does."""

    def run(*words: str | Path) -> Said:
        monkeypatch.setattr(sys, "argv", ["llmdeploy", *map(str, words)])
        code = main()
        said = capsys.readouterr()
        return Said(code, said.out, said.err)

    return run


def spawn(*words: str | Path, cwd: Path | None = None, **variables: str) -> Said:
    """Calls the command as a process of its own, without a terminal."""
    done = subprocess.run(
        [COMMAND, *map(str, words)],
        cwd=cwd,
        env={**os.environ, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small project we are in: dev on this machine, staging and production on hosts that do not exist."""
    root = tmp_path / "project"
    (root / "inventory" / "group_vars").mkdir(parents=True)
    (root / "environments").mkdir()
    (root / "inventory" / "group_vars" / "all.yml").write_text(CATALOGUE.format(stack=f"cli-test-{os.getpid()}"))
    (root / "inventory" / "dev.ini").write_text("[app]\nlocalhost ansible_connection=local\n")
    for name in ("staging", "production"):
        (root / "inventory" / f"{name}.ini").write_text("[app]\nfar ansible_host=192.0.2.1 ansible_user=nobody\n")
    for name in ("dev", "staging", "production"):
        (root / "environments" / f"{name}.yml").write_text("# nothing\n")
    monkeypatch.delenv("LLMDEPLOY_PROJECT_DIR", raising=False)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def no_ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], bool]:
    """Puts a witness in ssh's place; tells whether anything has tried to reach a host."""
    tools, witness = tmp_path / "tools", tmp_path / "contacted"
    tools.mkdir()
    for name in ("ssh", "ansible-playbook"):
        (tools / name).write_text(f'#!/bin/sh\necho "$0 $*" >> {witness}\nexit 255\n')
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    return lambda: not witness.exists()
