"""The edge's configuration in the cluster: a config object, and the job `edge-config` that puts it on its hosts."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

from .api import Docker, DockerError, ExistsError, Json, MissingError
from .edgejob import HELPER, LABEL, config_name, is_ours, job_spec, judge, said, sha
from .edgescript import NOT_TAKEN, REFUSED
from .spec import KIND_LABEL, RELEASE_LABEL, STACK_LABEL, Spec, for_writing

__all__ = ["LABEL", "begin", "config_name", "publish", "sha", "state"]


def publish(docker: Docker, stack: str, text: str) -> str:
    """Make sure that the configuration is a config object. Out: its name."""
    name = config_name(stack, sha(text))
    with suppress(ExistsError):  # then it has this content: the name says so
        docker.create_config(name, text.encode(), {STACK_LABEL: stack, KIND_LABEL: "edge", "sha": sha(text)})
    return name


def begin(docker: Docker, stack: str, edge_spec: Spec, live_spec: Spec | None) -> None:
    """Start the job for the configuration that the label of `edge_spec` names; an earlier job ends.

    `edge_spec` is the complete wanted specification of the service `edge`, with its image pinned; `live_spec` the one
    that it has.
    """
    live = _helper(docker)
    if live is not None and not is_ours(live, stack):
        raise DockerError(f"a service named {HELPER} exists and is not the edge's: rename it or remove it")
    wanted = for_writing(job_spec(stack, edge_spec, live_spec), (live or {}).get("Spec"), 0, docker.ids())
    del wanted["Labels"][RELEASE_LABEL]  # it belongs to no release
    if live is None:
        docker.create(wanted)
    else:
        docker.update(live["ID"], live["Version"]["Index"], wanted)


def state(docker: Docker, stack: str) -> tuple[str, str]:
    """How far the job is: "waiting", "done" or "failed", and in words what it waits for or why it failed."""
    live = _helper(docker)
    if live is None:
        return "failed", f"somebody removed the service {HELPER} while it put the new configuration on the edge hosts"
    tasks = docker.tasks(stack, up_to_date=False)
    found, detail, task = judge(live, tasks, docker.nodes())
    return found, (_reason(docker, task, detail, tasks) if task else detail)


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
    except (DockerError, OSError):  # the connection's own errors are no others here
        return ""


def _helper(docker: Docker) -> Json | None:
    try:
        return docker.service(HELPER)
    except MissingError:
        return None
