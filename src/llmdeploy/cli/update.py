"""The verb update: new images, without preparing hosts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any

import typer

from llmdeploy.cli.action import LimitTime, Yes
from llmdeploy.cli.options import Canary, Message, NoRollback, OnInterrupt, Wait
from llmdeploy.cli.session import Outcome, Session
from llmdeploy.errors import UsageError

EDGE = "edge"


def update(
    session: Session,
    services: Annotated[
        list[str] | None, typer.Argument(metavar="[SERVICE]…", help="Only these; default: all services.")
    ] = None,
    images: Annotated[
        list[str] | None,
        typer.Option(
            "--image", metavar="SERVICE=REF", help="Another image, until the next deploy. Only such services."
        ),
    ] = None,
    yes: Yes = False,
    canary: Canary = False,
    no_rollback: NoRollback = False,
    message: Message = "",
    wait: Wait = None,
    limit_time: LimitTime = None,
    on_interrupt: OnInterrupt = "abort",
) -> Outcome:
    """Find out anew which image each tag and each build folder means, and roll only what differs.

    Hosts are not prepared. With names, all other services stay as the last good release has them.
    """
    from llmdeploy.cli.applying import apply
    from llmdeploy.cli.asking import ask_about, refuse_problems, refuse_unasked
    from llmdeploy.cli.ending import unchanged
    from llmdeploy.cli.glance import reading
    from llmdeploy.cli.making import durations, make_job, rendered
    from llmdeploy.cli.planning import last_release, make_plan
    from llmdeploy.cli.turn import await_turn
    from llmdeploy.cli.watched import connected, load
    from llmdeploy.cluster.verify import verify
    from llmdeploy.events import Note
    from llmdeploy.release.manifest import checks
    from llmdeploy.release.partial import partial

    deadline, patience = durations(limit_time, wait)
    given = _pairs(images or [])
    selected = {*(services or []), *given}
    session = replace(session, overrides=[*session.overrides, *_overrides(session, given)])
    env = load(session)
    refuse_unasked(session, confirm=env.confirm, yes=yes)
    with connected(session, env) as connection:
        await_turn(session, connection, message, patience)
        on_failure = "keep" if no_rollback else "take-back"
        job = make_job(
            connection, action="update", message=message, deadline=deadline, on_failure=on_failure, canary=canary
        )
        base = last_release(connection)
        kept: dict[str, str] = {}
        if selected:
            job, kept = partial(job, base.manifest, selected)
        files = rendered(connection, job, services=selected or None, kept_pins=kept)
        session.say(reading(len(connection.accesses)))
        plan = make_plan(connection, files, job, prepare=False)
        refuse_problems(plan.data["problems"])
        job["seen"] = plan.seen
        if plan.nothing:
            return unchanged(job, plan.data["services"], verify(connection.managers[0], checks(job)))
        if env.confirm and not yes:
            ask_about(session, plan.data, f"Change {env.name} so?")
        notes = [Note("warning", f"{one['message']}; {one['hint']}") for one in plan.data["problems"]]
        if given:
            notes.append(Note("info", "the next deploy goes back to the images that the files say"))
        return apply(session, connection, files, job, plan, "update.yml", on_interrupt=on_interrupt, notes=notes)


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    """`gateway=registry/gateway:1.4` → {"gateway": "registry/gateway:1.4"}."""
    found: dict[str, str] = {}
    for text in texts:
        name, equals, ref = text.partition("=")
        if not (name and equals and ref):
            raise UsageError(f"--image {text}: SERVICE=REF is wanted", hint="for example gateway=registry/gateway:1.4")
        found[name] = ref
    return found


def _overrides(session: Session, images: dict[str, str]) -> list[str]:
    """What `--set` would say; a build folder of the files is set aside by it. Refuses unknown services."""
    if not images:
        return []
    known: Any = session.load().settings.services
    for name in images:
        if name != EDGE and name not in known:
            from llmdeploy.config.nearest import did_you_mean

            raise UsageError(f"--image: there is no service {name!r}", hint=did_you_mean(name, [EDGE, *known]))
    return [f"{EDGE if name == EDGE else f'services.{name}'}.image={json.dumps(ref)}" for name, ref in images.items()]
