"""Verbs about a release that somebody else may have started: attach follows it, abort ends it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from llmdeploy.cli.action import Yes
from llmdeploy.cli.options import Message, OnInterrupt
from llmdeploy.cli.session import Outcome, Session
from llmdeploy.errors import Exit, LlmdeployError, UnhealthyError, UsageError

if TYPE_CHECKING:
    from llmdeploy.cli.connection import Connection
    from llmdeploy.cli.running import Told
    from llmdeploy.cli.scene import Scene
    from llmdeploy.cluster.history import Entry
    from llmdeploy.cluster.jobs import Running
    from llmdeploy.events import ReleaseEnded


def attach(session: Session) -> Outcome:
    """Follow the release under way, from anywhere; the last one's end when there is none."""
    from llmdeploy.cli.connection import connect
    from llmdeploy.cli.ending import is_told_whole, next_step, release_error
    from llmdeploy.cluster.jobs import newest

    outline = session.outline()
    with connect(session, outline) as connection:
        running = newest(connection.managers)
        if running is None:
            name = outline.name
            raise LlmdeployError(f"there has been no release in {name} yet", hint=f"llmdeploy {name} deploy")
        end, told = _follow(session, connection, running)
    data, code = _data(connection, running, end, told), Exit(end.exit)
    if is_told_whole(code, end):
        error = release_error(end, told, {"environment": outline.name})
    else:
        action = str(running.job["action"])
        error = {"message": end.summary, "hint": next_step(outline.name, action, code, verdict=end.verdict)}
    return Outcome("attach", data, code, [] if code == Exit.DONE else [error])


def abort(session: Session, yes: Yes = False, message: Message = "", on_interrupt: OnInterrupt = "abort") -> Outcome:
    """Stop the release under way, from any machine, and take back what it has done. Exit code 7 when that fails.

    A release whose engine has died is taken back too.
    """
    from llmdeploy.cli.asking import agreed
    from llmdeploy.cli.connection import connect
    from llmdeploy.cli.glance import scene_of
    from llmdeploy.cluster.jobs import newest, request_stop

    outline = session.outline()
    ask = session.can_ask and not yes
    with connect(session, outline) as connection:
        running = newest(connection.managers)
        if running is not None and running.alive:
            if ask and not agreed(f"Stop {_described(running)} and take back what it has done?"):
                raise UsageError("not confirmed; nothing was changed")
            request_stop(running)
            return _aborted(connection, running, *_follow(session, connection, running))
        with scene_of(session, connection) as found:
            left = _left_open(found, running)
            if left is None:
                return Outcome("deploy", {"environment": outline.name, "verdict": "idle", "action": "abort"})
            return _take_back(session, found, left, ask=ask, message=message, on_interrupt=on_interrupt)


def _follow(session: Session, connection: Connection, running: Running) -> tuple[ReleaseEnded, Told]:
    """Shows the release to its end."""
    from llmdeploy.cli.running import Told
    from llmdeploy.cluster.jobs import follow
    from llmdeploy.events import ReleaseEnded, parse_progress
    from llmdeploy.view import make_view

    end: ReleaseEnded | None = None
    with make_view(session.view_mode, environment=connection.name, action=running.job["action"]) as view:
        told = Told(view.on_event, list(connection.accesses.values()))
        for line in follow(running, f"attach-{time.time_ns()}"):
            event = parse_progress(line)
            if event is not None:
                told(event)
            end = event if isinstance(event, ReleaseEnded) else end
    if end is None:
        hint = f"llmdeploy {connection.name} status"
        raise LlmdeployError("the release's progress ended without a verdict", hint=hint)
    return end, told


def _data(connection: Connection, running: Running, end: ReleaseEnded, told: Told) -> dict[str, Any]:
    return {
        "environment": connection.name,
        "job": running.job,
        "verdict": end.verdict,
        "release": end.to_json(),
        "under_way": running.alive,
        "failures": [one.to_json() for one in told.failures],
    }


def _described(running: Running) -> str:
    by = running.job.get("by") or {}
    return f"the {running.job['action']} by {by.get('user', '?')} on {by.get('host', '?')}"


def _aborted(connection: Connection, running: Running, end: ReleaseEnded, told: Told) -> Outcome:
    """Good when what was asked for has come about: the stack is on the release it was on before."""
    from llmdeploy.cli.ending import release_error

    data = _data(connection, running, end, told)
    back = end.taken_back
    if back is not None and back["verified"]:
        return Outcome("attach", data)
    if end.exit == Exit.DONE:
        message = f"release {end.number} was done before it heard of it"
        hint = f"llmdeploy {connection.name} rollback takes it back"
        return Outcome("attach", data, Exit.UNHEALTHY, [{"message": message, "hint": hint}])
    error = release_error(end, told, {"environment": connection.name})
    return Outcome("attach", data, Exit.UNHEALTHY, [error])


def _left_open(scene: Scene, ended: Running | None) -> Entry | None:
    """The release whose engine has died; `ended` is the newest job, whose engine does not run.

    Raises LockedError where somebody is at work whose release has not begun.
    """
    from llmdeploy.cli.locking import locked
    from llmdeploy.cluster.history import holder, open_release, silence

    lock = holder(scene.docker.configs(scene.stack, "lock"))
    if lock is not None and ended is not None and lock["Spec"]["Labels"].get("job") == ended.job["id"]:
        lock = None  # its heartbeat may be young yet
    if lock is not None and silence(scene.docker, scene.stack, lock):
        lock = None
    left = open_release(scene.releases, lock)
    if left is None and lock is not None:
        raise locked(scene.environment, lock["Spec"]["Labels"])
    return left


def _take_back(session: Session, scene: Scene, left: Entry, *, ask: bool, message: str, on_interrupt: str) -> Outcome:
    """Brings the stack back to the release it was on before the one that was left open."""
    from llmdeploy.cli.asking import ask_about
    from llmdeploy.cli.restoring import carry_out, untouched
    from llmdeploy.cli.rollback import plan_rollback

    if not scene.standing:
        raise UnhealthyError(
            f"release {left.number} was left open, and there is none to go back to: what is healthy stays",
            hint=f"llmdeploy {scene.environment} deploy goes on from there",
        )
    plan = plan_rollback(scene, scene.base().number, "abort", message or f"release {left.number} was left open")
    if plan.nothing:
        return untouched(scene, plan)
    if ask:
        ask_about(session, plan.data, f"Take release {left.number} back to release {plan.job['target']}?")
    return carry_out(session, scene, plan, on_interrupt=on_interrupt)
