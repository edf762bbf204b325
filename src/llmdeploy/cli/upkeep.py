"""Verbs that keep an environment in order: unlock, prune."""

from __future__ import annotations

from typing import Annotated

import typer

from llmdeploy.cli.action import Yes
from llmdeploy.cli.options import Message, Wait
from llmdeploy.cli.session import Outcome, Session
from llmdeploy.errors import LlmdeployError


def unlock(
    session: Session,
    force: Annotated[bool, typer.Option("--force", help="Take the lock away, whoever holds it.")] = False,
    message: Message = "",
) -> Outcome:
    """Show who holds the lock and whether that run lives; with --force take the lock away.

    Never needed for a run that is dead: the next one sees that within 15 seconds and takes over. A run that lives
    stops when it loses the lock. The history shows who has done this.
    """
    from llmdeploy.cli.connection import connect
    from llmdeploy.cli.unlocking import show, take_away
    from llmdeploy.cluster import live
    from llmdeploy.cluster.stacks import stack_of

    outline = session.outline()
    with connect(session, outline) as connection, live.manager(connection.managers) as docker:
        if docker is None:
            raise LlmdeployError(f"{outline.name} has no cluster yet", hint=f"llmdeploy {outline.name} deploy")
        stack = outline.stack if outline.environment else stack_of(docker, outline.name, outline.stack)
        if force:
            return take_away(session, connection, docker, stack, message)
        return show(session, connection, docker, stack)


def prune(session: Session, yes: Yes = False, message: Message = "", wait: Wait = None) -> Outcome:
    """Remove from every host the images that no kept release needs, and configurations of the edge.

    Every good release does the same when older ones leave the history. Images of others, and those that a container
    uses, stay.
    """
    from llmdeploy.cli.asking import agreed, refuse_unasked
    from llmdeploy.cli.glance import glance
    from llmdeploy.cli.making import durations

    outline = session.outline()
    refuse_unasked(session, confirm=outline.confirm, yes=yes)
    _, patience = durations(None, wait)
    with glance(session, outline) as scene:
        from llmdeploy.cli.pruning import carry_out, find, question
        from llmdeploy.view import show_outcome

        found = find(scene)
        if not found["changes"]:
            return Outcome("prune", found)
        if session.can_ask and not yes:
            show_outcome(session.command, "prune", found, json=False)
            if not agreed(question(found)):
                raise LlmdeployError("not confirmed; nothing was removed")
        return carry_out(session, scene, found, message, patience or 0.0)
