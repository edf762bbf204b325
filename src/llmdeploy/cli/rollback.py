"""The verb rollback: the whole stack as it was in an earlier release, from any machine, whatever the files say now."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Annotated

import typer

from llmdeploy.cli.action import LimitTime, Yes
from llmdeploy.cli.options import Message, OnInterrupt, Wait
from llmdeploy.cli.session import Outcome, Session
from llmdeploy.errors import LlmdeployError, UsageError

if TYPE_CHECKING:
    from llmdeploy.cli.restoring import Restoration
    from llmdeploy.cli.scene import Scene


def rollback(
    session: Session,
    number: Annotated[int | None, typer.Argument(help="The release to go to; default: the last good one.")] = None,
    steps: Annotated[int, typer.Option("--steps", min=1, metavar="K", help="So many good releases back.")] = 1,
    yes: Yes = False,
    message: Message = "",
    wait: Wait = None,
    limit_time: LimitTime = None,
    on_interrupt: OnInterrupt = "abort",
) -> Outcome:
    """Bring the whole stack back to the last good release, or to release N: images, configuration, edge, everything.

    Needs hosts that answer and nothing else: no registry, no settings, no revision of the project. A second rollback
    goes one further back. On a terminal the plan is shown and a question asked; --yes for incidents.
    """
    from llmdeploy.cli.asking import ask_about, refuse_unasked
    from llmdeploy.cli.glance import glance
    from llmdeploy.cli.making import durations

    if number is not None and steps != 1:
        raise UsageError("either a release or --steps, not both", hint=f"llmdeploy {session.command} {number}")
    deadline, patience = durations(limit_time, wait)
    outline = session.outline()
    refuse_unasked(session, confirm=outline.confirm, yes=yes)
    with glance(session, outline) as at_first:
        from llmdeploy.cli.restoring import carry_out, untouched
        from llmdeploy.cli.turn import await_turn_at

        found = await_turn_at(session, at_first, message, patience)
        plan = plan_rollback(found, _target(found, number, steps), "rollback", message, deadline)
        if plan.nothing:
            return untouched(found, plan)
        if session.can_ask and not yes:
            ask_about(session, plan.data, f"Roll {outline.name} back to release {plan.job['target']}?")
        return carry_out(session, found, plan, on_interrupt=on_interrupt)


def plan_rollback(scene: Scene, target: int, action: str, message: str, deadline: float | None = None) -> Restoration:
    """What it takes to bring the stack to the release `target`; `action` is rollback or abort."""
    from llmdeploy.cli.making import limited, new_id, who
    from llmdeploy.cli.restoring import prepare
    from llmdeploy.cluster.history import pick
    from llmdeploy.release.manifest import again, back, lasting

    manifest = pick(scene.releases, target).manifest
    same = again(
        manifest,
        job_id=new_id(),
        environment=scene.environment,
        action=action,
        by=who(scene.connection.outline.project.root, message),
        edge_host=scene.edge_host,
    )
    standing = next((one for one in scene.releases if one.number == scene.standing), None)
    now = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
    job = lasting(same, standing.manifest["job"], now) if standing else same
    # A rollback stands for the release whose state it brought back.
    final = int(pick(scene.releases, target).labels.get("target") or 0) or target
    return prepare(scene, limited(back(job, final), deadline), manifest["pins"], remove=True)


def _target(scene: Scene, number: int | None, steps: int) -> int:
    """The release to go to. Raises LlmdeployError where there is none such."""
    from llmdeploy.cluster.history import pick, spans
    from llmdeploy.engine.ledger import rollback_target

    good = [one.number for one in scene.releases if one.verdict == "good"]
    if number is None:
        found = rollback_target(scene.labels, steps)
        if not found:
            raise LlmdeployError(
                f"there is no earlier good release of {scene.environment} to go back to"
                + (f"; the stack is on release {scene.standing}" if scene.standing else ""),
                hint=f"llmdeploy {scene.environment} history lists all",
            )
        return found
    entry = pick(scene.releases, number)
    if entry.verdict != "good":
        raise LlmdeployError(
            f"release {number} did not end well ({entry.verdict}): going there would bring that back",
            hint=f"good ones: {spans(good)}" if good else "",
        )
    return number
