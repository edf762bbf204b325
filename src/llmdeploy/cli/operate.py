"""Verbs that change the stack, or follow what changes it: deploy, attach."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from llmdeploy.cli.action import LimitTime, Yes
from llmdeploy.cli.session import Outcome, Session
from llmdeploy.errors import Exit, InterruptedRunError, LlmdeployError, UnhealthyError, UsageError

if TYPE_CHECKING:
    from llmdeploy.cli.connection import Connection
    from llmdeploy.cli.planning import Plan
    from llmdeploy.config import Environment
    from llmdeploy.release.job import Job
    from llmdeploy.render.rundir import RunDirectory

OnInterrupt = Annotated[
    Literal["abort", "detach"],
    typer.Option("--on-interrupt", help="What SIGTERM, or Ctrl-C without a terminal, does to a release under way."),
]


def deploy(
    session: Session,
    yes: Yes = False,
    full: Annotated[bool, typer.Option("--full", help="Prepare every host again, skip nothing.")] = False,
    message: Annotated[str, typer.Option("--message", "-m", help="Why; kept in the history.")] = "",
    limit_time: LimitTime = None,
    on_interrupt: OnInterrupt = "abort",
) -> Outcome:
    """Bring hosts and services to the configured state: prepare hosts, deliver images, start services in order, verify.

    Nothing to change is found out in a second or two, and nothing is touched then.
    """
    from llmdeploy.cli.connection import connect
    from llmdeploy.cli.making import make_job, rendered
    from llmdeploy.cli.planning import make_plan

    env = session.load()
    must_ask = env.confirm and not yes
    if must_ask and not (sys.stdin.isatty() and not session.json):
        raise UsageError(
            f"{env.name} asks before every change, and there is no terminal to ask on",
            hint=f"llmdeploy {env.name} deploy --yes",
        )
    with connect(session, env) as connection:
        job = make_job(connection, action="deploy", message=message, limit_time=limit_time)
        files = rendered(connection, job, full=full)
        session.say(f"Reading {len(connection.accesses)} host{'s' if len(connection.accesses) > 1 else ''}…")
        plan = make_plan(connection, files, job)
        _refuse(plan)
        if plan.nothing and not full:
            return _unchanged(connection, plan, job)
        if must_ask:
            _confirm(session, env, plan)
        return _run(session, connection, files, job, on_interrupt)


def attach(session: Session) -> Outcome:
    """Follow the release under way, from anywhere; the last one's end when there is none."""
    from llmdeploy.cli.connection import connect
    from llmdeploy.cli.running import Told
    from llmdeploy.cluster.jobs import follow, newest
    from llmdeploy.events import ReleaseEnded, parse_progress
    from llmdeploy.view import make_view

    env = session.load()
    end: ReleaseEnded | None = None
    with connect(session, env) as connection:
        running = newest(connection.managers)
        if running is None:
            raise LlmdeployError(f"there has been no release in {env.name} yet", hint=f"llmdeploy {env.name} deploy")
        with make_view(session.view_mode, environment=env.name, action=running.job["action"]) as view:
            told = Told(view.on_event, list(connection.accesses.values()))
            for line in follow(running, f"attach-{time.time_ns()}"):
                event = parse_progress(line)
                if event is not None:
                    told(event)
                end = event if isinstance(event, ReleaseEnded) else end
    if end is None:
        raise LlmdeployError("the release's progress ended without a verdict", hint=f"llmdeploy {env.name} status")
    data: dict[str, Any] = {
        "environment": env.name,
        "job": running.job,
        "verdict": end.verdict,
        "release": end.to_json(),
    }
    data["under_way"] = running.alive
    data["failures"] = [one.to_json() for one in told.failures]
    code = Exit(end.exit)
    error = {"message": told.summary(end.summary), "hint": _next_step(env.name, code)}
    return Outcome("attach", data, code, [] if code == Exit.DONE else [error])


def _refuse(plan: Plan) -> None:
    errors = [problem for problem in plan.data["problems"] if problem["level"] == "error"]
    if errors:
        lines = [
            f"  {one['host']}: {one['message']}" + (f"\n      → {one['hint']}" if one["hint"] else "") for one in errors
        ]
        count = f"{len(errors)} problem{'s' if len(errors) > 1 else ''}"
        raise LlmdeployError(
            f"{count} in the way; nothing was changed:\n" + "\n".join(lines), details={"problems": errors}
        )


def _confirm(session: Session, env: Environment, plan: Plan) -> None:
    from llmdeploy.view import show_outcome

    show_outcome(session.command, "plan", plan.data, exit_code=Exit.CHANGES, errors=[], json=False)
    try:
        agreed = typer.confirm(f"Change {env.name} so?", default=False)
    except typer.Abort:
        raise InterruptedRunError("interrupted at the question; nothing was changed") from None
    if not agreed:
        raise UsageError("not confirmed; nothing was changed")


def _unchanged(connection: Connection, plan: Plan, job: Job) -> Outcome:
    """Nothing differs: only ask whether it works, as after any deploy."""
    from llmdeploy.cli.logs import open_log
    from llmdeploy.cluster.verify import verify
    from llmdeploy.release.job import all_checks

    env = connection.env
    results = verify(connection.edge_access, all_checks(env.settings, "127.0.0.1"))
    failed = [result for result in results if not result["ok"]]
    with open_log(job) as log:
        log.line("nothing to change: hosts, images, edge and services are as configured")
        for one in results:
            log.line(f"{'ok  ' if one['ok'] else 'FAIL'}  {one['name']}  {one['ms']:.0f} ms  {one['detail']}")
    if failed:
        lines = "\n".join(f"{one['name']}: {one['detail']}" for one in failed)
        raise UnhealthyError(
            f"nothing to change, but {len(failed)} of {len(results)} checks fail:\n{lines}",
            hint=f"llmdeploy {env.name} status",
            details={"checks": results},
        )
    data = {"environment": env.name, "verdict": "unchanged", "services": plan.data["services"], "checks": results}
    return Outcome("deploy", {**data, "log": str(log.path)})


def _run(session: Session, connection: Connection, files: RunDirectory, job: Job, on_interrupt: str) -> Outcome:
    """Drives site.yml and shows it; the outcome's exit code is the engine's verdict."""
    from llmdeploy.cli.running import run_site

    outcome, told = run_site(session, connection, files, job, on_interrupt)
    env, data = connection.env, outcome.to_json()
    data |= {"environment": env.name, "verdict": outcome.end.verdict if outcome.end else outcome.status}
    data["addresses"] = _addresses(connection)
    data["failures"] = [one.to_json() for one in told.failures]
    errors: list[dict[str, Any]] = []
    if outcome.exit_hint != Exit.DONE:
        message = told.summary(outcome.message) if outcome.exit_hint == Exit.UNHEALTHY else outcome.message
        whole = session.json or outcome.exit_hint == Exit.UNHEALTHY
        errors = [_brief(message, _next_step(env.name, outcome.exit_hint, outcome.status), whole=whole)]
    return Outcome("deploy", data, outcome.exit_hint, errors)


def _brief(message: str, hint: str, *, whole: bool) -> dict[str, str]:
    """The error that ends a run. What a command printed the view has shown already; lines with an arrow are advice."""
    lines = message.splitlines() or [""]
    advice = [line.strip().removeprefix("→").strip() for line in lines if line.strip().startswith("→")]
    brief = message if whole or len(lines) == 1 else lines[0].rstrip(":") + (" (see above)" if len(lines) > 2 else "")
    return {"message": brief, "hint": "; ".join(advice) or hint}


def _next_step(env: str, code: Exit, status: str = "") -> str:
    if status in ("detached", "stopping"):
        return f"llmdeploy {env} attach follows it"
    steps = {
        Exit.UNHEALTHY: f"llmdeploy {env} status shows what runs; correct the cause and deploy again",
        Exit.LOCKED: f"llmdeploy {env} attach shows the other run",
        Exit.INTERRUPTED: f"llmdeploy {env} deploy goes on from here",
        Exit.UNREACHABLE: f"llmdeploy {env} doctor checks every host",
    }
    return steps.get(code, "")


def _addresses(connection: Connection) -> list[dict[str, str]]:
    """Where to look: every port for people, and every HTTP port, at the first edge host."""
    host = connection.edge_access.address
    return [
        {"service": name, "url": f"http://{host}:{port.edge}"}
        for name, service in connection.env.settings.services.items()
        for port in service.ports
        if port.edge and port.protocol in ("web", "http")
    ]
