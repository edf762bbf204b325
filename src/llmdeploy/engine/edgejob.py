"""The job that puts a configuration on the edge's hosts: its specification, and what its tasks say. Pure.

Facts of Swarm's job services that shape it (tried on Docker 20.10 and 26.1):

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
from collections.abc import Collection, Mapping
from typing import Any

from .edgescript import NEW, SCRIPT
from .spec import KIND_LABEL, STACK_LABEL, Spec

LABEL = "llmdeploy.edge"
HELPER = "edge-config"
NEVER = 10 * 365 * 24 * 3600 * 10**9  # nanoseconds
_FAILED = ("failed", "rejected")
_CONSTRAINT = re.compile(r"\s*node\.(?:(labels)\.)?(\S+?)\s*(==|!=)\s*(.*?)\s*")

Json = dict[str, Any]


def sha(text: str) -> str:
    """What names a configuration: the first 12 digits of its SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def config_name(stack: str, digest: str) -> str:
    """The name of the config object of a configuration."""
    return f"{stack}.edge.{digest}"


def is_ours(service: Json, stack: str) -> bool:
    """Whether a service of the job's name is the job of this stack."""
    labels = service["Spec"].get("Labels") or {}
    return bool(labels.get(STACK_LABEL) == stack and labels.get(KIND_LABEL) == "helper")


def placed(services: Mapping[str, Json], stack: str) -> str:
    """Which configuration the hosts were given last, from all services by name; empty when nobody knows.

    The label of the service `edge` says it only once a release has come that far: one that fails before has given
    its hosts another.
    """
    for name in (HELPER, "edge"):
        labels = ((services.get(name) or {}).get("Spec") or {}).get("Labels") or {}
        if labels.get(STACK_LABEL) == stack and LABEL in labels:
            return str(labels[LABEL])
    return ""


def job_spec(stack: str, edge_spec: Spec, live_spec: Spec | None = None) -> Spec:
    """The specification of the job service, ids of configs and secrets left out.

    An edge that lacks a mount of the new one (`live_spec`) may be unable to load the new configuration, and is about to
    be replaced: the job only puts the file there then.
    """
    name = config_name(stack, edge_spec["Labels"][LABEL])
    task = edge_spec["TaskTemplate"]
    container = copy.deepcopy(task["ContainerSpec"])
    container.pop("Args", None)
    container["Configs"] = [
        *(container.get("Configs") or []),
        {"ConfigName": name, "File": {"Name": NEW, "UID": "0", "GID": "0", "Mode": 0o444}},
    ]
    container |= {
        "Command": ["sh", "-c", SCRIPT, HELPER, "load" if _mounts(edge_spec) <= _mounts(live_spec) else "leave"],
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


def _mounts(spec: Spec | None) -> set[str]:
    """Where something is mounted; nowhere in an edge that is not there."""
    return {
        one["Target"] for one in ((spec or {}).get("TaskTemplate") or {}).get("ContainerSpec", {}).get("Mounts") or []
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


def _constraints(spec: Spec) -> list[str]:
    return list((spec["TaskTemplate"].get("Placement") or {}).get("Constraints") or [])
