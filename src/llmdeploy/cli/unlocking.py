"""Who holds a lock, whether that run lives, and the end of the lock by force, noted in the history."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from llmdeploy.cli.connection import Connection
from llmdeploy.cli.locking import told
from llmdeploy.cli.making import who
from llmdeploy.cli.session import Outcome, Session
from llmdeploy.cluster.history import entries, holder
from llmdeploy.engine.api import ConflictError, Docker, Json
from llmdeploy.engine.lock import STALE_AFTER, LockedError
from llmdeploy.errors import UsageError

LOOK_AGAIN = 0.5  # seconds
TRIES = 5


def take_away(session: Session, connection: Connection, docker: Docker, stack: str, message: str) -> Outcome:
    """Removes the lock, whoever holds it."""
    lock = holder(docker.configs(stack, "lock"))
    data: dict[str, Any] = {"environment": connection.name, "stack": stack, "holder": None, "by": "", "recorded": 0}
    if lock is not None:
        found = dict(lock["Spec"]["Labels"])
        docker.remove_config(lock["ID"])
        person = who(connection.outline.project.root, message)
        by = f"{person.user} on {person.host}"
        data |= {"holder": told(found), "by": by, "recorded": record(docker, stack, _line(by, message, found))}
    return Outcome("unlock", data)


def show(session: Session, connection: Connection, docker: Docker, stack: str) -> Outcome:
    """Nobody holds it: that is told. Else raises UsageError with who it is, whether it lives, and what to do."""
    lock = holder(docker.configs(stack, "lock"))
    if lock is None:
        data = {"environment": connection.name, "stack": stack, "holder": None, "by": "", "recorded": 0}
        return Outcome("unlock", data)
    found = dict(lock["Spec"]["Labels"])
    session.say(f"Seeing whether the holder of the lock lives, for up to {STALE_AFTER:g} s…")
    state, hint = _findings(connection.name)[_lives(docker, stack, lock)]
    raise UsageError(f"{LockedError(found)}: {state}", hint=hint, details={"lock": {**told(found), "state": state}})


def _findings(environment: str) -> dict[bool | None, tuple[str, str]]:
    command = f"llmdeploy {environment}"
    return {
        None: ("it has given the lock back in this moment", "nothing is locked any more"),
        True: (
            "it lives",
            f"{command} attach follows it, {command} abort ends it; with --force it loses the lock and stops",
        ),
        False: (
            f"it has given no sign of life for {STALE_AFTER:g} s",
            "the next run takes over by itself; --force takes the lock away now",
        ),
    }


def _lives(docker: Docker, stack: str, lock: Json) -> bool | None:
    """Whether the holder shows a sign of life in time; None when it gives the lock back."""
    until = time.monotonic() + STALE_AFTER
    while time.monotonic() < until:
        time.sleep(LOOK_AGAIN)
        now = holder(docker.configs(stack, "lock"))
        if now is None:
            return None
        if now["Version"] != lock["Version"]:
            return True
    return False


def record(docker: Docker, stack: str, line: str) -> int:
    """Notes at the newest release that a lock was forced open. Out: its number, 0 where there is none."""
    for _ in range(TRIES):  # its engine may be writing to it as well
        newest = next(iter(entries(docker, stack)), None)
        if newest is None:
            return 0
        before = newest.labels.get("unlocked", "")
        try:
            docker.label_config(newest.config, {**newest.labels, "unlocked": f"{before}; {line}" if before else line})
        except ConflictError:
            continue
        return newest.number
    return 0


def _line(by: str, message: str, found: Mapping[str, str]) -> str:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    whose = f"{found.get('user', '?')} on {found.get('host', '?')}, {found.get('action', '?')}"
    why = f": {message}" if message else ""
    return f"{by} at {now} (lock of {whose} since {found.get('started', '?')}){why}"
