"""The engine's connection to the local Docker daemon, a Swarm manager. Works with Docker SDK 5.0 and 7.

Everything is retried while the daemon is away for a moment (a restart, a new leader); other refusals become the
typed errors below.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import docker
from docker import errors as docker_errors
from docker import utils as docker_utils

from .spec import KIND_LABEL, STACK_LABEL, Spec

PATIENCE = 60.0  # seconds a daemon may be away
LOG_SECONDS = 5.0
_TRANSIENT = ("does not have a leader", "DeadlineExceeded", "context deadline exceeded", "Unavailable")

Json = dict[str, Any]


class DockerError(Exception):
    """Docker refused something; the text is its own."""


class ConflictError(DockerError):
    """Somebody else wrote the object since we read it."""


class ExistsError(DockerError):
    """An object of that name is there already."""


class MissingError(DockerError):
    """There is no such object."""


class UnreachableError(DockerError):
    """The daemon did not answer for longer than we are patient."""


class Docker:
    """Reads and writes of one Swarm through its local manager."""

    def __init__(self, patience: float = PATIENCE, base_url: str = "") -> None:
        self._patience = patience
        kwargs = {"base_url": base_url} if base_url else docker_utils.kwargs_from_env()
        self._client: Any = self._retry(lambda: docker.APIClient(version="auto", timeout=15, **kwargs))
        self.api_version: str = self._client.api_version

    def services(self) -> list[Json]:
        """All services, ours and foreign, with their status (running and desired tasks)."""
        found: list[Json] = self._get("/services", {"status": True})
        return found

    def tasks(self, stack: str, *, up_to_date: bool) -> list[Json]:
        """The tasks of the stack's services; `up_to_date` leaves out those of an older specification."""
        filters = {"label": [f"{STACK_LABEL}={stack}"], **({"_up-to-date": ["true"]} if up_to_date else {})}
        found: list[Json] = self._get("/tasks", {"filters": json.dumps(filters)})
        return found

    def ids(self) -> dict[str, dict[str, str]]:
        """`{"networks" | "secrets" | "configs": {name: id}}`."""
        networks = self._get("/networks", {"filters": json.dumps({"scope": ["swarm"]})})
        return {
            "networks": {item["Name"]: item["Id"] for item in networks},
            "secrets": {item["Spec"]["Name"]: item["ID"] for item in self._get("/secrets")},
            "configs": {item["Spec"]["Name"]: item["ID"] for item in self._get("/configs")},
        }

    def nodes(self) -> list[Json]:
        """All nodes of the cluster."""
        found: list[Json] = self._get("/nodes")
        return found

    def hosts(self) -> dict[str, str]:
        """`{node id: host name}`."""
        return {node["ID"]: node["Description"]["Hostname"] for node in self.nodes()}

    def service(self, name: str) -> Json:
        """One service as it is now."""
        found: Json = self._get(f"/services/{name}")
        return found

    def create(self, spec: Spec) -> None:
        """Create a service; `ExistsError` when its name is taken."""
        self._retry(lambda: self._client.create_service(**_arguments(spec)))

    def update(self, service_id: str, version: int, spec: Spec) -> None:
        """Write a service whose version is still `version`; `ConflictError` when it is not."""
        self._retry(lambda: self._client.update_service(service_id, version, **_arguments(spec)))

    def remove_service(self, service_id: str) -> None:
        """Remove a service; nothing happens when it is gone already."""
        try:
            self._request("DELETE", f"/services/{service_id}")
        except MissingError:
            return

    def configs(self, stack: str, kind: str = "") -> list[Json]:
        """The stack's config objects with their data; `kind`: only lock, release or edge."""
        labels = [f"{STACK_LABEL}={stack}", *([f"{KIND_LABEL}={kind}"] if kind else [])]
        filters = json.dumps({"label": labels})
        found: list[Json] = self._get("/configs", {"filters": filters})
        return found

    def create_config(self, name: str, data: bytes, labels: dict[str, str]) -> str:
        """Create a config object and return its id; `ExistsError` when the name is taken (atomic in the cluster)."""
        return str(self._retry(lambda: self._client.create_config(name, data, labels))["ID"])

    def config(self, config_id: str) -> Json:
        """One config object as it is now."""
        found: Json = self._get(f"/configs/{config_id}")
        return found

    def label_config(self, config: Json, labels: dict[str, str]) -> None:
        """Replace the labels of a config object (all that may change); `ConflictError` when it changed since read."""
        path = f"/configs/{config['ID']}/update"
        body = {**config["Spec"], "Labels": labels}
        self._request("POST", path, {"version": config["Version"]["Index"]}, json=body)

    def remove_config(self, config_id: str) -> None:
        """Remove a config object; nothing happens when it is gone already."""
        try:
            self._request("DELETE", f"/configs/{config_id}")
        except MissingError:
            return

    def secrets(self, stack: str) -> list[Json]:
        """The stack's secrets; Docker never gives their values back."""
        found: list[Json] = self._get("/secrets", {"filters": json.dumps({"label": [f"{STACK_LABEL}={stack}"]})})
        return found

    def create_secret(self, name: str, data: bytes, labels: dict[str, str]) -> None:
        """Create a secret; `ExistsError` when the name is taken."""
        self._retry(lambda: self._client.create_secret(name, data, labels))

    def remove_secret(self, secret_id: str) -> None:
        """Remove a secret; nothing happens when it is gone already, `DockerError` while a service uses it."""
        try:
            self._request("DELETE", f"/secrets/{secret_id}")
        except MissingError:
            return

    def registry_digest(self, ref: str) -> str:
        """The digest a registry has under `ref` now; empty when it cannot be asked or does not know it."""
        try:
            return str(self._request("GET", f"/distribution/{ref}/json").json()["Descriptor"]["digest"])
        except (DockerError, KeyError):
            return ""

    def container(self, container_id: str) -> Json:
        """A container on this very host; `MissingError` when it runs elsewhere."""
        found: Json = self._get(f"/containers/{container_id}/json")
        return found

    def task_log(self, task_id: str, lines: int = 20) -> str:
        """The last lines a task printed, on whichever node, waiting at most a few seconds."""
        parameters = {"stdout": True, "stderr": True, "tail": lines}
        url, until = self._client._url("/tasks/{0}/logs", task_id), time.monotonic() + LOG_SECONDS
        data = b""
        try:
            with self._client.get(url, params=parameters, stream=True, timeout=LOG_SECONDS) as response:
                self._client._raise_for_status(response)
                for chunk in response.iter_content(None):
                    data += chunk
                    if time.monotonic() > until:
                        break
        except (OSError, docker_errors.DockerException) as problem:
            if not data:
                raise _typed(problem) from problem
        return _frames(data)

    def _get(self, path: str, params: Json | None = None) -> Any:
        return self._request("GET", path, params).json()

    def _request(self, method: str, path: str, params: Json | None = None, **more: Any) -> Any:
        def send() -> Any:
            url = self._client._url(path)
            response = self._client.request(method, url, params=params, timeout=15, **more)
            self._client._raise_for_status(response)
            return response

        return self._retry(send)

    def _retry(self, ask: Callable[[], Any]) -> Any:
        until = time.monotonic() + self._patience
        while True:
            try:
                return ask()
            except (OSError, docker_errors.DockerException) as problem:  # `requests` raises OSErrors
                reason = _typed(problem)
            if not isinstance(reason, UnreachableError) or time.monotonic() > until:
                raise reason
            time.sleep(0.5)


def _typed(problem: Exception) -> DockerError:
    text = str(getattr(problem, "explanation", None) or problem)
    status = getattr(getattr(problem, "response", None), "status_code", None)
    if status is None or any(word in text for word in _TRANSIENT):
        return UnreachableError(f"the Docker daemon does not answer: {text}")
    if "out of sequence" in text:
        return ConflictError(text)
    return {404: MissingError, 409: ExistsError}.get(status, DockerError)(text)


def _arguments(spec: Spec) -> Json:
    return {
        "task_template": spec["TaskTemplate"],
        "name": spec["Name"],
        "labels": spec.get("Labels"),
        "mode": spec.get("Mode"),
        "update_config": spec.get("UpdateConfig"),
        "rollback_config": spec.get("RollbackConfig"),
        "networks": spec.get("Networks"),
        "endpoint_spec": spec.get("EndpointSpec"),
    }


def _frames(data: bytes) -> str:
    """The text of Docker's log stream: frames of stream number, length and payload, or plain text of a terminal."""
    text, at = b"", 0
    while at + 8 <= len(data) and data[at] in (0, 1, 2) and data[at + 1 : at + 4] == b"\0\0\0":
        size = int.from_bytes(data[at + 4 : at + 8], "big")
        text += data[at + 8 : at + 8 + size]
        at += 8 + size
    return (text + data[at:] if at == 0 else text).decode("utf-8", "replace")
