"""The verb scale: other numbers of replicas, everything else as in the last good release."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from llmdeploy.cli.action import LimitTime, Yes
from llmdeploy.cli.options import Message, NoRollback, OnInterrupt, Wait
from llmdeploy.cli.session import Outcome, Session
from llmdeploy.errors import UsageError


def scale(
    session: Session,
    replicas: Annotated[list[str], typer.Argument(metavar="SERVICE=N…", help="The number of replicas wanted.")],
    yes: Yes = False,
    no_rollback: NoRollback = False,
    message: Message = "",
    wait: Wait = None,
    limit_time: LimitTime = None,
    on_interrupt: OnInterrupt = "abort",
) -> Outcome:
    """Change the number of replicas of services, until the next deploy: that one goes back to what the files say."""
    from llmdeploy.cli.asking import ask_about, refuse_unasked
    from llmdeploy.cli.glance import glance
    from llmdeploy.cli.making import durations, limited, new_id, who
    from llmdeploy.release.manifest import again, scaled

    wanted = _numbers(replicas)
    deadline, patience = durations(limit_time, wait)
    outline = session.outline()
    refuse_unasked(session, confirm=outline.confirm, yes=yes)
    with glance(session, outline) as at_first:
        from llmdeploy.cli.restoring import carry_out, prepare, untouched
        from llmdeploy.cli.turn import await_turn_at

        found = await_turn_at(session, at_first, message, patience)
        manifest, by = found.base().manifest, who(outline.project.root, message)
        job = again(
            manifest, job_id=new_id(), environment=outline.name, action="scale", by=by, edge_host=found.edge_host
        )
        job = limited(scaled(job, wanted), deadline)
        job["on_failure"] = "keep" if no_rollback else "take-back"
        plan = prepare(found, job, manifest["pins"], remove=False)
        if plan.nothing:
            return untouched(found, plan)
        if outline.confirm and not yes:
            ask_about(session, plan.data, f"Change {outline.name} so?")
        note = "the next deploy goes back to the replicas that the files say"
        return carry_out(session, found, plan, on_interrupt=on_interrupt, note=note)


def _numbers(texts: list[str]) -> dict[str, int]:
    """`gateway=3` → {"gateway": 3}."""
    found: dict[str, int] = {}
    for text in texts:
        name, _, number = text.partition("=")
        if not name or not re.fullmatch(r"\d{1,4}", number) or not 1 <= int(number) <= 1000:
            raise UsageError(f"{text}: SERVICE=N is wanted, N from 1 to 1000", hint="for example gateway=3")
        if name in found:
            raise UsageError(f"{name} is named twice")
        found[name] = int(number)
    return found
