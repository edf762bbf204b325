"""What deploy and update share once there is a plan: a run of their playbook."""

from __future__ import annotations

from collections.abc import Sequence

from llmdeploy.cli.connection import Connection
from llmdeploy.cli.ending import ended
from llmdeploy.cli.locking import held
from llmdeploy.cli.planning import Plan
from llmdeploy.cli.running import run_playbook
from llmdeploy.cli.session import Outcome, Session
from llmdeploy.events import Note
from llmdeploy.release.job import Job
from llmdeploy.render.rundir import RunDirectory


def apply(
    session: Session,
    connection: Connection,
    files: RunDirectory,
    job: Job,
    plan: Plan,
    playbook: str,
    *,
    on_interrupt: str,
    notes: Sequence[Note] = (),
) -> Outcome:
    """Drives the playbook and shows it; the outcome's exit code is the engine's verdict."""
    files.write_job(job)
    connection = connection.only(connection.accesses, str(plan.todo["manager"]))
    with held(session, connection, job) as hold:
        outcome, told = run_playbook(
            session,
            connection,
            files,
            job,
            playbook=playbook,
            on_interrupt=on_interrupt,
            hold=hold,
            notes=notes,
        )
    return ended(session, connection, job, outcome, told)
