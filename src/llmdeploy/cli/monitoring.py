"""The verb monitoring: what watches the stack comes up, beside services that stay as they are, or goes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from llmdeploy.cli.action import LimitTime, Yes
from llmdeploy.cli.options import Message, NoRollback, OnInterrupt, Wait
from llmdeploy.cli.session import Outcome, Session
from llmdeploy.errors import UsageError

if TYPE_CHECKING:
    from llmdeploy.cli.connection import Connection
    from llmdeploy.cli.planning import Plan
    from llmdeploy.config import Environment
    from llmdeploy.release.job import Job
    from llmdeploy.release.manifest import Manifest
    from llmdeploy.render.rundir import RunDirectory

EDGE = "edge"


def monitoring(
    session: Session,
    what: Annotated[
        str | None, typer.Argument(metavar="[open]", help="open: where to look, and how to get the password.")
    ] = None,
    remove: Annotated[bool, typer.Option("--remove", help="Take the monitoring away; its data stays.")] = False,
    data: Annotated[bool, typer.Option("--data", help="With --remove: its data goes as well, for ever.")] = False,
    tunnel: Annotated[
        bool, typer.Option("--tunnel", help="With open: bring its ports to this machine over SSH, until Ctrl-C.")
    ] = False,
    yes: Yes = False,
    no_rollback: NoRollback = False,
    message: Message = "",
    wait: Wait = None,
    limit_time: LimitTime = None,
    on_interrupt: OnInterrupt = "abort",
) -> Outcome:
    """Bring up Prometheus, Grafana, Loki and what belongs to them, as a release of its own; services stay as they are.

    Deploys keep it from then on, and bring it up to date. `monitoring: {enabled: true}` makes it part of every deploy.
    Grafana's password is made where there is none. A release that fails is taken back, as any other.
    """
    _refuse_misuse(session, what, remove=remove, data=data, tunnel=tunnel)
    if what:
        from llmdeploy.cli.opening import open_monitoring

        return open_monitoring(session, tunnel=tunnel)
    from llmdeploy.cli.applying import apply
    from llmdeploy.cli.asking import ask_about, refuse_problems, refuse_unasked
    from llmdeploy.cli.connection import connect
    from llmdeploy.cli.ending import unchanged
    from llmdeploy.cli.glance import reading
    from llmdeploy.cli.making import durations
    from llmdeploy.cli.sealing import seal
    from llmdeploy.cli.turn import await_turn
    from llmdeploy.cli.watched import OFF, ON, load, switched
    from llmdeploy.cluster.verify import verify
    from llmdeploy.release.manifest import checks

    deadline, patience = durations(limit_time, wait)
    session = switched(session, OFF if remove else ON)
    env = load(session)
    refuse_unasked(session, confirm=env.confirm or data, yes=yes)
    if not remove:
        _have_secrets(session)
    with connect(session, env, seal(session, env)) as connection:
        await_turn(session, connection, message, patience)
        session.say(reading(len(connection.accesses)))
        on_failure = "keep" if no_rollback else "take-back"
        job, files, plan = _planned(
            connection, message=message, deadline=deadline, on_failure=on_failure, remove=remove, data=data
        )
        refuse_problems(plan.data["problems"])
        if plan.nothing and not data:
            return unchanged(job, plan.data["services"], verify(connection.managers[0], checks(job)))
        if (env.confirm or data) and not yes:
            ask_about(session, plan.data, _question(env, remove=remove, data=data))
        return apply(session, connection, files, job, plan, "monitoring.yml", on_interrupt=on_interrupt)


def _refuse_misuse(session: Session, what: str | None, *, remove: bool, data: bool, tunnel: bool) -> None:
    command = f"llmdeploy {session.command}"
    if what not in (None, "open"):
        raise UsageError(
            f"monitoring has no {what!r}", hint=f"there are: {command}, {command} open, {command} --remove"
        )
    if what and (remove or data):
        raise UsageError("open only looks: without --remove and --data", hint=f"{command} --remove")
    if tunnel and not what:
        raise UsageError("--tunnel is about open", hint=f"{command} open --tunnel")
    if data and not remove:
        raise UsageError(
            "--data is about --remove: it says that the data goes as well", hint=f"{command} --remove --data"
        )


def _question(env: Environment, *, remove: bool, data: bool) -> str:
    if data:
        return f"Remove the monitoring of {env.name}, and all that it has kept, for ever?"
    return f"Remove the monitoring of {env.name}?" if remove else f"Change {env.name} so?"


def _have_secrets(session: Session) -> None:
    """Makes what the monitoring itself needs and nobody has to know: Grafana's password and its key."""
    from llmdeploy.cli.safe import open_safe
    from llmdeploy.config.watching import GRAFANA_KEY, GRAFANA_PASSWORD
    from llmdeploy.secrets import keeping
    from llmdeploy.secrets.names import in_file

    safe = open_safe(session)
    own = {name: one for name, one in in_file(safe.declared).items() if name in (GRAFANA_PASSWORD, GRAFANA_KEY)}
    if not own or not any(name in safe.users for name in own):
        return
    have = safe.file.read() if safe.file.exists else {}
    if any(name not in have for name in own):
        made = keeping.fill(safe.file, own)
        session.note(f"made in {safe.file.name}: {', '.join(made)}")


def _planned(
    connection: Connection,
    *,
    message: str,
    deadline: float | None,
    on_failure: str,
    remove: bool,
    data: bool,
) -> tuple[Job, RunDirectory, Plan]:
    """The job in which only the edge and the parts are as the files say, all others as in the last good release."""
    from llmdeploy.cli.making import make_job, rendered
    from llmdeploy.cli.planning import last_release, make_plan
    from llmdeploy.monitoring.parts import volumes
    from llmdeploy.release.partial import partial, without

    settings = connection.env.settings
    job = make_job(connection, action="monitoring", message=message, deadline=deadline, on_failure=on_failure)
    manifest = last_release(connection).manifest
    parts = parts_of(manifest)
    selected = {EDGE, *(name for name in parts if name in settings.services and not remove)}
    job, kept = partial(job, without(manifest, parts), selected)
    files = rendered(
        connection,
        job,
        services=selected,
        kept_pins=kept,
        more={"llmdeploy_drop_volumes": volumes(settings.stack) if data else []},
    )
    plan = make_plan(connection, files, job)
    gone = [name for name in plan.data["orphans"] if name in parts]
    plan = plan.removing(gone)
    return {**job, "remove": gone, "seen": plan.seen}, files, plan


def parts_of(manifest: Manifest) -> list[str]:
    """The names that are free for parts, or theirs: somebody's own service of such a name is none, and stays."""
    from llmdeploy.config.watching import PARTS
    from llmdeploy.release.spec import PART_LABEL

    labels = {name: entry["spec"].get("Labels") or {} for name, entry in manifest["job"]["services"].items()}
    return [name for name in PARTS if name not in labels or PART_LABEL in labels[name]]
