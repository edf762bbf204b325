"""Small projects in a temporary folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmdeploy.config import Environment, load
from llmdeploy.errors import ConfigError, Problem
from llmdeploy.project import Project

CATALOGUE = """\
defaults: {image: demo}
services:
  alpha:
    group: one
    ports:
      - {number: 8000, protocol: http, published: true}
  beta:
    group: one
    depends_on: [alpha]
edge: {image: proxy}
"""
INVENTORY = """\
[one]
host1 ansible_connection=local
"""


class Maker:
    """Writes a project and loads it."""

    def __init__(self, root: Path) -> None:
        self.project = Project(root)
        self.write("inventory/group_vars/all.yml", CATALOGUE)
        self.write("inventory/dev.ini", INVENTORY)
        self.write("environments/dev.yml", "")

    def write(self, name: str, content: str | bytes) -> Path:
        path = self.project.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def catalogue(self, text: str) -> None:
        self.write("inventory/group_vars/all.yml", text)

    def environment(self, text: str) -> None:
        self.write("environments/dev.yml", text)

    def inventory(self, text: str) -> None:
        self.write("inventory/dev.ini", text)

    def load(self, *overrides: str, environment: str = "dev") -> Environment:
        return load(self.project, environment, overrides)

    def problems(self, *overrides: str, environment: str = "dev") -> list[Problem]:
        with pytest.raises(ConfigError) as caught:
            self.load(*overrides, environment=environment)
        return caught.value.problems

    def lines(self, *overrides: str) -> list[str]:
        return [str(problem) for problem in self.problems(*overrides)]


@pytest.fixture
def maker(tmp_path: Path) -> Maker:
    return Maker(tmp_path)
