"""Verbs that only read: plan, status, verify, doctor."""

from __future__ import annotations

from typing import Annotated

import typer

from llmdeploy.cli.action import LimitTime
from llmdeploy.cli.session import Outcome, Session
from llmdeploy.errors import Exit, LlmdeployError


def status(session: Session) -> Outcome:
    """Show what runs where: nodes, services with replicas healthy of wanted, the release it is, a run under way."""
    from llmdeploy.cli.connection import connect
    from llmdeploy.cli.watched import ON, load, switched
    from llmdeploy.cluster import history, live
    from llmdeploy.cluster import status as report
    from llmdeploy.release.spec import is_part

    env = load(session)
    with connect(session, env) as connection, live.manager(connection.managers) as docker:
        if docker is None:
            raise LlmdeployError(f"{env.name} has no cluster yet", hint=f"llmdeploy {env.name} deploy")
        found = live.read(docker, env.settings.stack)
        if any(is_part(one, env.settings.stack) for one in found.services.values()):
            env = load(switched(session, ON))
        lock = history.holder(found.configs)
        silent = history.silence(docker, env.settings.stack, lock) if lock else 0.0
        data = report.status(found, env.settings, silent=silent)
    good = report.healthy(data)
    return Outcome("status", {"environment": env.name, **data}, Exit.DONE if good else Exit.UNHEALTHY)


def verify(session: Session) -> Outcome:
    """Ask every service over its own protocol, and send the configured real requests; each check with its latency."""
    from llmdeploy.cli.connection import connect
    from llmdeploy.cli.sealing import known_tls
    from llmdeploy.cli.watched import load, standing
    from llmdeploy.cluster.verify import verify as ask
    from llmdeploy.release.job import all_checks

    env = load(session)
    tls = known_tls(session, env)
    with connect(session, env) as connection:
        env, access = standing(session, connection), connection.edge_access
        results = ask(access, all_checks(env.settings, "127.0.0.1", tls))
    failed = [result for result in results if not result["ok"]]
    errors = [{"message": f"{one['name']}: {one['detail']}", "hint": ""} for one in failed]
    data = {"environment": env.name, "asked_from": access.host, "checks": results, "failed": len(failed)}
    return Outcome("verify", data, Exit.UNHEALTHY if failed else Exit.DONE, errors)


def plan(
    session: Session,
    remove_orphans: Annotated[
        bool, typer.Option("--remove-orphans", help="Plan a deploy that removes what is not in the catalogue any more.")
    ] = False,
) -> Outcome:
    """Show what a deploy would change on hosts and services, and what was changed by hand since the last release.

    Changes nothing; exit code 10 when a deploy would. With -v also the lines of the edge's configuration that differ.
    """
    from llmdeploy.cli.making import make_job, rendered
    from llmdeploy.cli.planning import make_plan
    from llmdeploy.cli.watched import connected, load

    with connected(session, load(session)) as connection:
        job = make_job(connection, action="deploy")
        edge_lines = bool(session.verbose) or session.json
        made = make_plan(connection, rendered(connection, job), job, edge_lines=edge_lines)
    data = (made.removing(made.data["orphans"]) if remove_orphans else made).data
    return Outcome("plan", data, Exit.CHANGES if data["changes"] else Exit.DONE)


def doctor(session: Session, limit_time: LimitTime = None) -> Outcome:
    """Check every host as a deploy would: system, disk, memory, ports, clock, kernel, Docker. Changes nothing."""
    from llmdeploy.cli.connection import connect
    from llmdeploy.cli.making import limit, make_job, rendered
    from llmdeploy.cli.planning import PATIENCE, examine
    from llmdeploy.cli.watched import load

    env, patience = load(session), limit(limit_time) if limit_time else PATIENCE
    with connect(session, env) as connection:
        files = rendered(connection, make_job(connection, action="doctor"))
        hosts, problems = examine(connection, files, timeout=patience)
    errors = [problem for problem in problems if problem["level"] == "error"]
    unreachable = any(problem["check"] == "reachable" for problem in errors)
    code = Exit.UNREACHABLE if unreachable else Exit.FAILED if errors else Exit.DONE
    messages = [{"message": f"{one['host']}: {one['message']}", "hint": one["hint"]} for one in errors]
    return Outcome("doctor", {"environment": env.name, "hosts": hosts, "problems": problems}, code, messages)
