"""Labs for tests: import these fixtures in a conftest.

Every lab of a test run has a name of its own and is removed when the run ends, whatever happened.
What a killed run left behind goes before the next one starts.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import pytest

from tests.lab import lab as labs
from tests.lab.engine import ensure_engine
from tests.lab.lab import Lab

FOUR_HOSTS = ("head", "model-proxy", "tail", "ui")
OURS = re.compile(r"pytest-(\d+)-\d+")


class LabFactory:
    """Starts labs and remembers their names."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._names: list[str] = []

    def __call__(
        self, hosts: Sequence[str] = FOUR_HOSTS, *, bare: Collection[str] = (), trixie: Collection[str] = ()
    ) -> Lab:
        """Start a lab under a new name."""
        name = f"pytest-{os.getpid()}-{next(self._numbers)}"
        self._names.append(name)
        return Lab.up(hosts, bare=bare, trixie=trixie, name=name)

    def down(self) -> None:
        """Remove every lab that this factory started."""
        while self._names:
            labs.remove(self._names.pop())


@pytest.fixture(scope="session")
def lab_factory() -> Iterator[LabFactory]:
    """Start labs of any shape; they live until the run ends or until their own `down()`."""
    ensure_engine()
    _sweep()
    factory = LabFactory()
    try:
        yield factory
    finally:
        factory.down()


@pytest.fixture(scope="module")
def lab4(lab_factory: LabFactory) -> Iterator[Lab]:
    """Start four hosts with Docker, new for every test module."""
    lab = lab_factory()
    try:
        yield lab
    finally:
        lab.down()


def _sweep() -> None:
    """Remove the labs of test runs whose process is gone."""
    for name in labs.names():
        run = OURS.fullmatch(name)
        if run and not Path("/proc", run[1]).exists():
            labs.remove(name)
