"""Takes the environment's lock for the command, before the first change: so that nobody else changes it meanwhile."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from llmdeploy.cli.connection import Connection
from llmdeploy.cli.holding import HOLDER, Hold, Holding
from llmdeploy.cli.session import Session
from llmdeploy.cluster import live
from llmdeploy.cluster.history import holder
from llmdeploy.engine import lock as engine
from llmdeploy.engine.api import Docker, DockerError
from llmdeploy.engine.attempt import labels
from llmdeploy.engine.spec import KIND_LABEL, STACK_LABEL
from llmdeploy.errors import LlmdeployError, LockedError, UnreachableError
from llmdeploy.events import Note

SAY_AGAIN = 30.0  # seconds between two lines about whom we wait for
SILENT = 2.0  # seconds until somebody who sees nothing happen is told why


@contextmanager
def held(session: Session, connection: Connection, job: Mapping[str, Any], wait: float = 0.0) -> Iterator[Hold]:
    """The lock of the job's stack, taken now and given back at the end, unless the engine has taken it over.

    A living holder is waited for as long as `wait` says (seconds); then LockedError tells who it is. A dead one is
    replaced, which takes 15 s. Raises UnreachableError when no manager can be reached.
    """
    with _cluster(connection) as docker:
        hold = take(session, docker, job, wait) if docker else Hold()
        try:
            yield hold
        finally:
            hold.end()


def take(session: Session, docker: Docker, job: Mapping[str, Any], wait: float = 0.0) -> Hold:
    """Takes the lock through `docker`, as `held`; whoever calls this calls `end()` of what comes out."""
    stack = str(job["stack"])
    own = {**labels(dict(job)), HOLDER: "command", STACK_LABEL: stack, KIND_LABEL: "lock"}
    lock = engine.Lock(docker, stack, own)
    try:
        former = _patiently(session, lock, wait)
        config = holder(docker.configs(stack, "lock"))
    except DockerError as problem:
        raise LlmdeployError(f"the lock of {session.environment} cannot be taken: {problem}") from problem
    except KeyboardInterrupt:
        with suppress(DockerError):
            lock.release()
        raise
    if config is None or config["Spec"]["Labels"].get("job") != own["job"]:
        raise LockedError("the lock was taken from us in the same moment", hint="try again")
    hold = Holding(docker, own, config)
    if former:
        text = f"took over the lock of a run that gives no sign of life: {engine.LockedError(former)}"
        hold.notes.append(Note("warning", text))
    return hold


def locked(environment: str, found: Mapping[str, str]) -> LockedError:
    """The error for a lock that a living run holds, whose labels are `found`: who, from where, since when, what to do.

    A command that has no engine yet has nothing that `attach` could follow.
    """
    attach = "" if HOLDER in found else f"llmdeploy {environment} attach follows it; "
    hint = f"{attach}--wait 5m waits for its end"
    return LockedError(str(engine.LockedError(found)), hint=hint, details={"lock": told(found)})


def told(found: Mapping[str, str]) -> dict[str, str]:
    """Who holds a lock, for `--json`: user, host, action, reason, started, job, environment."""
    return {key: found.get(key, "") for key in ("user", "host", "action", "reason", "started", "job", "environment")}


def _patiently(session: Session, lock: engine.Lock, wait: float) -> Mapping[str, str] | None:
    """As `Lock.take`, again and again until `wait` is over; says for whom it waits."""
    until, said, said_at = time.monotonic() + wait, "", 0.0
    with _explained(session):
        found = _try(lock)
    while isinstance(found, engine.LockedError):
        now = time.monotonic()
        if now >= until:
            raise locked(session.environment, found.labels)
        if said != str(found) or now - said_at >= SAY_AGAIN:
            said, said_at = str(found), now
            _tell(session, f"Waiting for another run to end, up to {until - now:.0f} s more: {said}")
        found = _try(lock)
    return found


def _try(lock: engine.Lock) -> Mapping[str, str] | engine.LockedError | None:
    try:
        return lock.take()
    except engine.LockedError as problem:
        return problem


@contextmanager
def _explained(session: Session) -> Iterator[None]:
    """Says why nothing happens, should it take long."""
    text = f"Another run holds the lock; seeing whether it lives, for up to {engine.STALE_AFTER:g} s…"
    timer = threading.Timer(SILENT, session.say, [text])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _tell(session: Session, text: str) -> None:
    """Not only on a terminal: who reads a log later has to know it as well."""
    if not (session.json or session.quiet):
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


@contextmanager
def _cluster(connection: Connection) -> Iterator[Docker | None]:
    """Docker on the first manager that has the cluster; None where none has it."""
    away: list[UnreachableError] = []
    for access in connection.managers:
        with ExitStack() as stack:
            try:
                docker = stack.enter_context(live.manager([access]))
            except UnreachableError as error:
                away.append(error)
                continue
            if docker is not None:
                yield docker
                return
    if away and len(away) == len(connection.managers):
        raise away[0]
    yield None
