"""The first second of an incident: hosts are looked at while the rest of the program is being loaded."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from llmdeploy.cli.connection import Connection, connect
from llmdeploy.cli.session import Session
from llmdeploy.cluster.presence import presence
from llmdeploy.config import Outline

if TYPE_CHECKING:
    from llmdeploy.cli.scene import Scene


def reading(hosts: int) -> str:
    """What a person is told while nothing happens yet."""
    return f"Reading {hosts} host{'s' if hosts > 1 else ''}…"


@contextmanager
def glance(session: Session, outline: Outline) -> Iterator[Scene]:
    """The scene of an environment, from a look at all its hosts."""
    with connect(session, outline) as connection, scene_of(session, connection) as found:
        yield found


@contextmanager
def scene_of(session: Session, connection: Connection) -> Iterator[Scene]:
    """The same over a connection that is there."""
    session.say(reading(len(connection.accesses)))
    with ThreadPoolExecutor(1) as pool:
        looking = pool.submit(presence, list(connection.accesses.values()))
        # Docker's and Ansible's libraries take as long to load as the hosts to answer.
        from llmdeploy.cli import restoring
        from llmdeploy.cli.scene import scene

        assert restoring  # noqa: S101 (it is wanted in a moment)
        found = looking.result()
    with scene(connection, found) as opened:
        yield opened
