"""The verb deploy: hosts and services as the files say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llmdeploy.cli.action import LimitTime, Yes
from llmdeploy.cli.options import Canary, Message, NoRollback, OnInterrupt, Wait
from llmdeploy.cli.session import Outcome, Session
from llmdeploy.errors import Exit

if TYPE_CHECKING:
    from llmdeploy.cli.planning import Plan
    from llmdeploy.events import Note
    from llmdeploy.release.job import Job


def deploy(
    session: Session,
    yes: Yes = False,
    full: Annotated[bool, typer.Option("--full", help="Prepare every host again, skip nothing.")] = False,
    canary: Canary = False,
    no_rollback: NoRollback = False,
    remove_orphans: Annotated[
        bool, typer.Option("--remove-orphans", help="Remove services that are not in the catalogue any more.")
    ] = False,
    plan_file: Annotated[
        Path | None,
        typer.Option(
            "--plan-file", metavar="FILE", help="Save the plan there, or do what it says if nothing has changed since."
        ),
    ] = None,
    message: Message = "",
    wait: Wait = None,
    limit_time: LimitTime = None,
    on_interrupt: OnInterrupt = "abort",
) -> Outcome:
    """Bring hosts and services to the configured state: prepare hosts, deliver images, start services in order, verify.

    Nothing to change is found out in a second or two, and nothing is touched then. A release that fails is taken back.
    """
    from llmdeploy.cli.applying import apply
    from llmdeploy.cli.asking import ask_about, refuse_problems, refuse_unasked
    from llmdeploy.cli.ending import unchanged
    from llmdeploy.cli.glance import reading
    from llmdeploy.cli.making import durations, make_job, rendered
    from llmdeploy.cli.planning import make_plan
    from llmdeploy.cli.turn import await_turn
    from llmdeploy.cli.watched import connected, load
    from llmdeploy.cluster.verify import verify
    from llmdeploy.release.job import all_checks

    deadline, patience = durations(limit_time, wait)
    env = load(session)
    saving = plan_file is not None and not plan_file.exists()
    refuse_unasked(session, confirm=env.confirm, yes=yes or saving)
    with connected(session, env) as connection:
        await_turn(session, connection, message, patience)
        on_failure = "keep" if no_rollback else "take-back"
        job = make_job(
            connection, action="deploy", message=message, deadline=deadline, on_failure=on_failure, canary=canary
        )
        files = rendered(connection, job, full=full)
        session.say(reading(len(connection.accesses)))
        plan = make_plan(connection, files, job)
        refuse_problems(plan.data["problems"])
        ask = plan_file is None and not yes and session.can_ask
        gone = _to_remove(plan.data["orphans"], wanted=remove_orphans, ask=ask)
        plan = plan.removing(gone)
        job |= {"remove": gone, "seen": plan.seen}
        if plan_file is not None and saving:
            return _saved(plan_file, job, plan)
        if plan_file is not None:
            _check(plan_file, job, plan)
        notes = _left(plan.data["orphans"], env.name)
        if plan.nothing and not full:
            for note in notes:
                session.note(note.text)
            results = verify(
                connection.edge_access, all_checks(connection.env.settings, "127.0.0.1", connection.sealed.tls)
            )
            return unchanged(job, plan.data["services"], results)
        if env.confirm and not yes:
            ask_about(session, plan.data, f"Change {env.name} so?")
        return apply(session, connection, files, job, plan, "site.yml", on_interrupt=on_interrupt, notes=notes)


def _to_remove(orphans: list[str], *, wanted: bool, ask: bool) -> list[str]:
    """What nobody wants any more goes only when somebody says so."""
    from llmdeploy.cli.asking import agreed

    question = f"Not in the catalogue any more: {', '.join(orphans)}. Remove them, after all others are done?"
    return orphans if wanted or (ask and orphans and agreed(question)) else []


def _saved(path: Path, job: Job, plan: Plan) -> Outcome:
    from llmdeploy.cli.planfile import save

    save(path, str(job["environment"]), job, plan)
    return Outcome("plan", plan.data, Exit.CHANGES if plan.data["changes"] else Exit.DONE)


def _check(path: Path, job: Job, plan: Plan) -> None:
    from llmdeploy.cli.planfile import check

    check(path, str(job["environment"]), job, plan)


def _left(orphans: list[str], environment: str) -> list[Note]:
    from llmdeploy.events import Note

    if not orphans:
        return []
    hint = f"llmdeploy {environment} deploy --remove-orphans removes them"
    return [Note("warning", f"not in the catalogue any more, left as they are: {', '.join(orphans)}; {hint}")]
