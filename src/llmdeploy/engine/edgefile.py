"""The edge's configuration: a Swarm config object, and a job service that puts it on every edge host.

Facts of Swarm's job services that shape this (tried on Docker 20.10 and 26.1):

- A job that is removed leaves its tasks and containers behind, one that is updated does not: so there is one service
  `edge-config` for good, written again for each configuration. A host that was down gets its task when it is back.
- With restart condition `none` a failed task is started again and again, whenever anything happens to another one.
  So it is `on-failure` with a delay that never ends.
- Nodes that joined later are left out. The next deploy sees their file and forces the job.
"""

from __future__ import annotations

import copy
import hashlib
import re
from collections.abc import Collection
from contextlib import suppress
from typing import Any

from .api import Docker, DockerError, ExistsError, Json, MissingError
from .edgescript import NEW, NOT_TAKEN, REFUSED, SCRIPT
from .spec import KIND_LABEL, RELEASE_LABEL, STACK_LABEL, Spec, for_writing

LABEL = "llmdeploy.edge"
HELPER = "edge-config"
NEVER = 10 * 365 * 24 * 3600 * 10**9  # nanoseconds
_FAILED = ("failed", "rejected")
_CONSTRAINT = re.compile(r"\s*node\.(?:(labels)\.)?(\S+?)\s*(==|!=)\s*(.*?)\s*")


def sha(text: str) -> str:
    """What names a configuration: the first 12 digits of its SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def config_name(stack: str, digest: str) -> str:
    """The name of the config object of a configuration."""
    return f"{stack}.edge.{digest}"


def publish(docker: Docker, stack: str, text: str) -> str:
    """Make sure that the configuration is a config object. Out: its name."""
    name = config_name(stack, sha(text))
    with suppress(ExistsError):  # then it has this content: the name says so
        docker.create_config(name, text.encode(), {STACK_LABEL: stack, KIND_LABEL: "edge", "sha": sha(text)})
    return name


def begin(docker: Docker, stack: str, edge_spec: Spec) -> None:
    """Start the job for the configuration that the label of `edge_spec` names; an earlier job ends.

    `edge_spec` is the complete wanted specification of the service `edge`, with its image pinned.
    """
    live = _helper(docker)
    if live is not None and not _is_ours(live, stack):
        raise DockerError(f"a service named {HELPER} exists and is not the edge's: rename it or remove it")
    wanted = for_writing(job_spec(stack, edge_spec), (live or {}).get("Spec"), 0, docker.ids())
    del wanted["Labels"][RELEASE_LABEL]  # it belongs to no release
    if live is None:
        docker.create(wanted)
    else:
        docker.update(live["ID"], live["Version"]["Index"], wanted)


def placed(docker: Docker, stack: str) -> str:
    """Which configuration the hosts were given last, whether they took it or not; empty when nobody knows."""
    live = _helper(docker)
    return str(live["Spec"]["Labels"].get(LABEL, "")) if live is not None and _is_ours(live, stack) else ""


def state(docker: Docker, stack: str) -> tuple[str, str]:
    """How far the job is: "waiting", "done" or "failed", and in words what it waits for or why it failed."""
    live = _helper(docker)
    if live is None:
        return "failed", f"somebody removed the service {HELPER} while it put the new configuration on the edge hosts"
    tasks = docker.tasks(stack, up_to_date=False)
    found, detail, task = judge(live, tasks, docker.nodes())
    return found, (_reason(docker, task, detail, tasks) if task else detail)


def job_spec(stack: str, edge_spec: Spec) -> Spec:
    """The specification of the job service, ids of configs and secrets left out."""
    name = config_name(stack, edge_spec["Labels"][LABEL])
    task = edge_spec["TaskTemplate"]
    container = copy.deepcopy(task["ContainerSpec"])
    container.pop("Args", None)
    container["Configs"] = [
        *(container.get("Configs") or []),
        {"ConfigName": name, "File": {"Name": NEW, "UID": "0", "GID": "0", "Mode": 0o444}},
    ]
    container |= {
        "Command": ["sh", "-c", SCRIPT],
        "User": "0",  # the folder is root's
        "Healthcheck": {"Test": ["NONE"]},
        "StopSignal": "SIGTERM",
        "StopGracePeriod": 10**9,
    }
    return {
        "Name": HELPER,
        "Labels": {STACK_LABEL: stack, KIND_LABEL: "helper", LABEL: edge_spec["Labels"][LABEL]},
        "TaskTemplate": {
            "ContainerSpec": container,
            "Resources": {"Limits": (task.get("Resources") or {}).get("Limits") or {}},
            "RestartPolicy": {"Condition": "on-failure", "Delay": NEVER},
            "Placement": {"Constraints": _constraints(edge_spec)},
        },
        "Mode": {"GlobalJob": {}},
    }


def judge(job: Json, tasks: Collection[Json], nodes: Collection[Json]) -> tuple[str, str, Json | None]:
    """State, detail (a host's name when it failed) and the failed task, from the job service and the stack's tasks."""
    status = job.get("JobStatus") or {}
    turn = (status.get("JobIteration") or {}).get("Index", 0)
    own = [task for task in tasks if task["ServiceID"] == job["ID"]]
    own = [task for task in own if (task.get("JobIteration") or {}).get("Index", 0) == turn]
    missing = []
    for node in (node for node in nodes if takes_part(node, _constraints(job["Spec"]))):
        host, mine = node["Description"]["Hostname"], [task for task in own if task.get("NodeID") == node["ID"]]
        failed = next((task for task in mine if task["Status"]["State"] in _FAILED), None)
        if failed:
            return "failed", host, failed
        if not any(task["Status"]["State"] == "complete" for task in mine):
            missing.append(host)
            if not mine and node["CreatedAt"][:19] > str(status.get("LastExecution", "~"))[:19]:
                return "failed", f"{host} has joined the cluster in the future: the managers' clocks differ", None
    if missing:
        return "waiting", f"{', '.join(sorted(missing))}: taking the new configuration", None
    return "done", "", None


def takes_part(node: Json, constraints: Collection[str]) -> bool:
    """Whether a job with these constraints (of labels, role, hostname or id) has to run on a node now."""
    spec = node["Spec"]
    known = {"role": spec.get("Role", ""), "hostname": node["Description"]["Hostname"], "id": node["ID"]}
    for constraint in constraints:
        found = _CONSTRAINT.fullmatch(constraint)
        if found is None:
            continue
        values = (spec.get("Labels") or {}) if found[1] else known
        if (str(values.get(found[2], "")).lower() == found[4].lower()) != (found[3] == "=="):
            return False
    return bool(node["Status"]["State"] == "ready" and spec["Availability"] == "active")


def said(log: str) -> str:
    """What matters of HAProxy's words: its alerts, else the last lines."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    alerts = [re.sub(r"^\[ALERT\]\s*\(\d+\) : (config : )?", "", line) for line in lines if line.startswith("[ALERT]")]
    telling = [line for line in alerts if not re.match(r"Error\(s\) found|Fatal errors found", line)]
    return "; ".join((telling or alerts or lines)[-5:])


def _reason(docker: Docker, task: Json, host: str, tasks: Collection[Json]) -> str:
    status = task["Status"]
    words = said(_log(docker, task))
    code = (status.get("ContainerStatus") or {}).get("ExitCode")
    if code == REFUSED:
        return f"HAProxy refuses the new configuration on {host}; the old one stays in use: {words}"
    if code == NOT_TAKEN:
        words = words or _edge_said(docker, task["NodeID"], tasks)
        return f"HAProxy on {host} did not take the new configuration over; the old one is back in use: {words}"
    return f"the new configuration could not be put on {host}: {words or status.get('Err', '')}"


def _edge_said(docker: Docker, node: str, tasks: Collection[Json]) -> str:
    """The last words of the edge on a node: HAProxy before 2.7 says only there why a reload failed."""
    try:
        edge = docker.service("edge")["ID"]
    except DockerError:
        return ""
    mine = [task for task in tasks if task["ServiceID"] == edge and task.get("NodeID") == node]
    return next((said(_log(docker, task)) for task in mine if task["Status"]["State"] == "running"), "")


def _log(docker: Docker, task: Json) -> str:
    try:
        return docker.task_log(task["ID"])
    except DockerError:
        return ""


def _helper(docker: Docker) -> Json | None:
    try:
        return docker.service(HELPER)
    except MissingError:
        return None


def _is_ours(service: Json, stack: str) -> bool:
    labels: dict[str, Any] = service["Spec"].get("Labels") or {}
    return labels.get(STACK_LABEL) == stack and labels.get(KIND_LABEL) == "helper"


def _constraints(spec: Spec) -> list[str]:
    return list((spec["TaskTemplate"].get("Placement") or {}).get("Constraints") or [])
