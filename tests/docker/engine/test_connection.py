"""The two ways to the daemon: the engine's own, which is patient, and the one checks use to look into the network."""

from __future__ import annotations

import threading
import uuid
from pathlib import Path
from typing import Any

import pytest

from llmdeploy.engine import api, checks

pytestmark = pytest.mark.docker


def test_a_daemon_that_restarts_is_waited_for(client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    socket = tmp_path / "docker.sock"
    monkeypatch.setenv("DOCKER_HOST", f"unix://{socket}")
    with pytest.raises(api.UnreachableError, match="does not answer"):
        api.Docker(patience=0)
    threading.Timer(0.7, lambda: socket.symlink_to("/var/run/docker.sock")).start()
    docker = api.Docker(patience=10)
    assert docker.hosts()
    socket.unlink()
    docker._client.close()
    threading.Timer(0.7, lambda: socket.symlink_to("/var/run/docker.sock")).start()
    assert docker.hosts()


def test_what_docker_refuses_is_typed(client: Any) -> None:
    docker = api.Docker(patience=0)
    with pytest.raises(api.MissingError):
        docker.service("nobody-has-this-name")
    with pytest.raises(api.DockerError, match="cannot be empty"):
        docker._request("POST", "/containers/create", json={})


PROBE = """#!/bin/sh
echo "10.0.1.2 ok $*"
echo "10.0.1.3 refused"
exit $(test "$2" = 8081 && echo 0 || echo 1)
"""


def test_the_network_is_looked_into_from_the_edge(
    client: Any, image: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    label = f"edge-{uuid.uuid4().hex[:8]}"
    monkeypatch.setattr(checks, "EDGE_LABEL", f"com.docker.swarm.service.name={label}")
    check = {"name": "x", "service": "auth", "kind": "http", "via": "network", "port": 8081, "path": "/health",
             "expect_status": [200, 299], "timeout": 3.0}  # fmt: skip
    assert "no edge container" in checks.run_check(check)["detail"]
    (tmp_path / "probe").write_text(PROBE)
    (tmp_path / "probe").chmod(0o755)
    host = client.create_host_config(binds=[f"{tmp_path}:/llmdeploy:ro"])
    labels = {"com.docker.swarm.service.name": label}
    made = client.create_container(image, ["sleep", "60"], labels=labels, host_config=host)
    client.start(made)
    try:
        good = checks.run_check(check)
        bad = checks.run_check({**check, "port": 8082})
    finally:
        client.remove_container(made, force=True)
    asked = "http 8081 /health --expect 200-299 --host tasks.auth --timeout 3 --all"
    assert (good["ok"], good["detail"]) == (True, f"10.0.1.2 ok {asked}; 10.0.1.3 refused")
    assert not bad["ok"]
    assert "10.0.1.3 refused" in bad["detail"]
