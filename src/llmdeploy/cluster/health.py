"""What only a failed service's own host knows: its last health check, and its log where the manager has none.

The release engine runs on a manager, and Docker shows a container's health on the container's own host only.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from llmdeploy.cluster.access import Access
from llmdeploy.cluster.remote import on_all, run_script
from llmdeploy.engine.failure import LOG_LINES, explain, health_output
from llmdeploy.engine.host import SERVICE_LABEL
from llmdeploy.errors import LlmdeployError
from llmdeploy.events import Failure, harmless

PATIENCE = 12.0  # seconds; a person waits for the reason

_SCRIPT = """
import json, socket, subprocess
wanted = json.loads({wanted!r})

def docker(*words):
    done = subprocess.run(["docker", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=5)
    return done.stdout.decode("utf-8", "replace") if done.returncode == 0 else ""

def found():
    own = [wanted["container"]] if wanted["container"] else []
    ended = ("--filter", "status=exited", "--filter", "status=dead")  # what runs may be the replica of before
    names = docker("ps", "--all", "--no-trunc", "--quiet", *ended, "--filter", "label=" + wanted["label"]).split()
    for name in [*own, *names]:  # the newest come first
        state = docker("inspect", "--type=container", "--format", "{{{{json .State}}}}", name)
        health = (json.loads(state).get("Health") or {{}}) if state else {{}}
        if health.get("Log"):
            return {{"health": health, "log": docker("logs", "--tail", str(wanted["lines"]), name).splitlines()}}
    return {{}}

if wanted["host"] in (socket.gethostname(), socket.gethostname().partition(".")[0]):
    print(json.dumps({{"here": True, **found()}}))
else:
    print("{{}}")
"""


def complete(failure: Failure, accesses: Sequence[Access]) -> Failure:
    """The failure with its host as the inventory names it, and with what that host alone can tell.

    All hosts are asked at once which of them it is: Docker's name of a host need not be the inventory's.
    """
    if not failure.host:
        return failure
    label = f"{SERVICE_LABEL}={failure.service}"
    wanted = {"host": failure.host, "container": failure.container, "label": label, "lines": LOG_LINES}
    script = _SCRIPT.format(wanted=json.dumps(wanted))
    answers = on_all(accesses, lambda access: json.loads(run_script(access, script, timeout=PATIENCE).strip() or "{}"))
    here = {name: found for name, found in answers.items() if isinstance(found, dict) and found.get("here")}
    if len(here) == 1:
        name, found = next(iter(here.items()))
        return _with(failure, name, found)
    silent = [name for name, found in answers.items() if isinstance(found, LlmdeployError)]
    why = f", {', '.join(silent)} did not answer" if silent else ""
    return failure if failure.health else dataclasses.replace(failure, health=f"(not to be had{why})")


def _with(failure: Failure, host: str, found: Mapping[str, Any]) -> Failure:
    health = found.get("health") or {}
    reason, hint = explain(failure.reason, failure.task_error, failing=bool(health.get("FailingStreak")))
    log = [harmless(line)[:500] for line in found.get("log") or []]
    no_log = not failure.log or failure.log[0].startswith("(")
    return dataclasses.replace(
        failure,
        host=host,
        reason=reason,
        hint=hint if reason != failure.reason else failure.hint,
        health=health_output(health) or failure.health,
        log=log if no_log and log else failure.log,
    )
