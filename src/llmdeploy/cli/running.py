"""One run of a playbook with its view, its log and its interruptions."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from llmdeploy.cli.connection import Connection
from llmdeploy.cli.holding import Hold
from llmdeploy.cli.logs import open_log
from llmdeploy.cli.session import Session
from llmdeploy.cluster.access import Access, key_options
from llmdeploy.cluster.health import complete
from llmdeploy.cluster.jobs import Follower, Running, request_stop
from llmdeploy.events import Event, Failure, Note, ReleasePlanned
from llmdeploy.project import resources
from llmdeploy.release.job import Job
from llmdeploy.render.rundir import RunDirectory
from llmdeploy.run.environment import child_environment
from llmdeploy.run.interrupt import Choice, Policy
from llmdeploy.run.outcome import RunOutcome
from llmdeploy.run.start import start
from llmdeploy.view import make_view

PREPARATION = 900.0  # seconds that preparing hosts and delivering images may take before the release's own deadline
WAY_BACK = 600.0  # seconds that a release stopped by a deadline is followed while it is taken back


@dataclass
class Told:
    """Hands events on; a failure first gets what only its own host knows. Keeps the failures before the way back."""

    hand_on: Callable[[Event], None]
    accesses: Sequence[Access]
    failures: list[Failure] = field(default_factory=list)
    _back: bool = False

    def __call__(self, event: Event) -> None:
        """Takes one event."""
        if isinstance(event, ReleasePlanned):
            self._back = event.back
        if isinstance(event, Failure):
            event = complete(event, self.accesses)
            if not self._back:
                self.failures.append(event)
        self.hand_on(event)

    def summary(self, otherwise: str) -> str:
        """Why it failed, in one sentence for each service."""
        heads = [f"{one.service} failed{f' on {one.host}' if one.host else ''}: {one.reason}" for one in self.failures]
        return "\n".join(heads) or otherwise


def run_playbook(
    session: Session,
    connection: Connection,
    files: RunDirectory,
    job: Job,
    *,
    playbook: str,
    on_interrupt: str,
    hold: Hold,
    notes: Sequence[Note] = (),
) -> tuple[RunOutcome, Told]:
    """Drives a playbook to its end; events, those of `hold` and `notes` first, go to the view and the log.

    Out: the outcome, and what failed. Raises LockedError when the lock is lost before the engine has it.
    """
    playbooks, redact = resources() / "playbooks", connection.sealed.redacting(session.redact)
    log = open_log(job, redact=redact)
    running = Running(connection.managers[0], {"id": job["id"], "alive": True})
    with (
        log,
        make_view(session.view_mode, environment=connection.name, action=str(job["action"]), log=log.stream) as view,
    ):
        told = Told(view.on_event, list(connection.accesses.values()))
        for note in (*hold.notes, *notes):
            told(note)
        outcome = start(
            files.path,
            playbooks / playbook,
            inventory=files.inventory,
            env=child_environment(
                os.environ,
                hosts=len(connection.accesses),
                library=[playbooks / "library"],
                module_utils=[files.module_utils],
                roles=[playbooks / "roles"],
                become_password_file=_password_file(session, files.path),
                ssh_options=[shlex.join(key_options(connection.known_hosts))],
                more={"ANSIBLE_SSH_CONTROL_PATH": f"{files.control}/%%C"},  # our connections to the hosts are open
            ),
            on_event=told,
            deadline=PREPARATION + float(job["deadline"]),
            policy=Policy(ask=_ask(view) if sys.stdin.isatty() else None, on_interrupt=cast("Any", on_interrupt)),
            request_stop=lambda: request_stop(running),
            live=lambda: Follower(running, f"{files.path.name}-live"),
            check=hold.check,
            stop_patience=WAY_BACK,
            targets={name: access.tried for name, access in connection.accesses.items()},
            redact=redact,
            log=log,
        )
    return outcome, told


def _password_file(session: Session, folder: Path) -> Path | None:
    if session.become_password is None:
        return None
    path = folder / "become"
    path.touch(mode=0o600)
    path.write_text(session.become_password, encoding="utf-8")
    return path


def _ask(view: Any) -> Any:
    def ask() -> Choice:
        with view.paused():
            sys.stderr.write(
                "\nA release is under way, on the manager. Let it finish there, or stop it and take everything back?\n"
                "[d]etach or [s]top and take back (Ctrl-C again: stop): "
            )
            sys.stderr.flush()
            answer = sys.stdin.readline().strip().lower()
        return "stop" if answer.startswith("s") else "detach"

    return ask
