"""`--wait`: another run is waited for before anything is planned, so that the plan is made of what it leaves behind."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from llmdeploy.cli.connection import Connection
from llmdeploy.cli.locking import held, take
from llmdeploy.cli.making import new_id, who
from llmdeploy.cli.scene import Scene
from llmdeploy.cli.session import Session


def await_turn(session: Session, connection: Connection, message: str, wait: float | None) -> None:
    """Waits until nobody else changes the environment. Raises LockedError when that takes too long."""
    if wait is not None:
        claim = _claim(session, connection, connection.env.settings.stack, message)
        with held(session, connection, claim, wait):
            pass  # it was free: the plan comes first


def await_turn_at(session: Session, scene: Scene, message: str, wait: float | None) -> Scene:
    """The same where the cluster is open already. Out: the scene as it is then."""
    if wait is None:
        return scene
    take(session, scene.docker, _claim(session, scene.connection, scene.stack, message), wait).end()
    return scene.again()


def _claim(session: Session, connection: Connection, stack: str, message: str) -> dict[str, Any]:
    """As much of a job as tells others who holds the lock."""
    by = asdict(who(connection.outline.project.root, message))
    return {"id": new_id(), "stack": stack, "environment": connection.name, "action": session.action, "by": by}
