"""Stacks as the engine's tests make them, and the command that reads them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.docker.engine.conftest import Stack, client, image, stack

__all__ = ["client", "image", "stack"]
COMMAND = Path(sys.executable).parent / "llmdeploy"
CATALOGUE = """\
stack: {stack}
network: {{name: {network}}}
edge: {{image: "example.invalid/edge:1"}}
services:
  web: {{image: "example.invalid/web:1", group: app}}
"""
Said = subprocess.CompletedProcess[str]


@dataclass(frozen=True)
class Reader:
    """A project whose environment dev is a stack on this machine; its catalogue knows nothing of the services."""

    root: Path

    def __call__(self, words: str) -> Said:
        """The command in that project, as a process of its own."""
        return subprocess.run(
            [COMMAND, *words.split()], cwd=self.root, env={**os.environ, "TZ": "UTC"}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip


def reader(stack: Stack, root: Path) -> Reader:
    """Makes the project of a stack in the folder `root`."""
    (root / "inventory" / "group_vars").mkdir(parents=True)
    (root / "environments").mkdir()
    (root / "inventory" / "group_vars" / "all.yml").write_text(
        CATALOGUE.format(stack=stack.name, network=stack.network)
    )
    (root / "inventory" / "dev.ini").write_text("[app]\nlocalhost ansible_connection=local\n")
    (root / "environments" / "dev.yml").write_text("# nothing\n")
    return Reader(root)


def data(said: Said) -> dict[str, Any]:
    """What an envelope holds."""
    assert said.returncode == 0, said.stdout + said.stderr
    found: dict[str, Any] = json.loads(said.stdout)["data"]
    return found
