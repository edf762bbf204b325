"""The job that puts the edge's configuration on its hosts, on a real Swarm with a real HAProxy."""

from __future__ import annotations

import platform
import shutil
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from llmdeploy.engine import edgefile
from llmdeploy.engine.api import Docker, DockerError
from tests.docker.engine.conftest import Job, Stack, end
from tests.lab import roots
from tests.lab.engine import ensure_engine

PORT = 18099
PROBE = Path(edgefile.__file__).parents[1] / "_bin" / f"probe-{platform.machine()}"


def config(answer: str, more: str = "") -> str:
    """A HAProxy that answers by itself."""
    return f"""
global
  stats socket /edge/run/haproxy.sock mode 600 level admin expose-fd listeners
  server-state-file /edge/state
defaults
  mode http
  timeout client 5s
  timeout server 5s
  timeout connect 5s
frontend f
  bind :8080
  http-request return status 200 content-type text/plain string "{answer}"
{more}"""


def wait(until: Callable[[], bool]) -> None:
    """Until something is so, at most a minute."""
    deadline = time.monotonic() + 60
    while not until():
        assert time.monotonic() < deadline
        time.sleep(0.1)


class Edge:
    """The folder of an edge host, the service on it, and the job."""

    def __init__(self, stack: Stack, folder: Path, image: str) -> None:
        self.stack, self.image, self.docker = stack, image, Docker()
        self.folder, self.probe = folder / "edge", folder / "bin"
        (self.folder / "run").mkdir(parents=True)
        self.probe.mkdir()
        shutil.copy(PROBE, self.probe / "probe")
        self.file = self.folder / "haproxy.cfg"

    def spec(self, text: str) -> dict[str, Any]:
        """The service `edge` as the release room makes it, its image pinned."""
        bind = {"Type": "bind", "ReadOnly": False}
        command = ["haproxy", "-W", "-db", "-S", "/edge/run/master.sock", "-f", "/edge/haproxy.cfg"]
        return {
            "Name": "edge",
            "Labels": {"llmdeploy.stack": self.stack.name, edgefile.LABEL: edgefile.sha(text)},
            "TaskTemplate": {
                "ContainerSpec": {
                    "Image": self.image,
                    "Command": command[:1],
                    "Args": command[1:],
                    "User": "root",
                    "StopGracePeriod": 10**9,
                    "Mounts": [
                        {**bind, "Source": str(self.folder), "Target": "/edge"},
                        {**bind, "Source": str(self.probe), "Target": "/llmdeploy", "ReadOnly": True},
                    ],
                },
                "Resources": {"Limits": {"MemoryBytes": 256 << 20}, "Reservations": {}},
                "Placement": {"Constraints": ["node.role==manager"]},
            },
            "Mode": {"Global": {}},
            "EndpointSpec": {
                "Mode": "dnsrr",
                "Ports": [{"Protocol": "tcp", "TargetPort": 8080, "PublishedPort": PORT, "PublishMode": "host"}],
            },
        }

    def bring(self, text: str, *, replaced: bool = False) -> tuple[str, str]:
        """What the engine does for a new configuration, which the running edge may be unable to load; how it ended."""
        edgefile.publish(self.docker, self.stack.name, text)
        edgefile.begin(self.docker, self.stack.name, self.spec(text), None if replaced else self.spec(text))
        wait(lambda: edgefile.state(self.docker, self.stack.name)[0] != "waiting")
        return edgefile.state(self.docker, self.stack.name)

    @contextmanager
    def running(self, text: str) -> Iterator[None]:
        """HAProxy with this configuration."""
        self.file.write_text(text)
        self.docker.create(self.spec(text))
        wait(lambda: self.answers() != "")
        yield
        self.docker.remove_service("edge")
        wait(lambda: not self.containers("edge"))

    def answers(self) -> str:
        """What it answers now."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}", timeout=5) as answer:
                return str(answer.read().decode())
        except OSError:
            return ""

    def containers(self, service: str) -> list[str]:
        """The containers of a service, ended ones too."""
        filters = {"label": f"com.docker.swarm.service.name={service}"}
        return [one["Id"] for one in self.stack.client.containers(all=True, filters=filters)]

    def left(self) -> list[str]:
        """What is in the folder and is no part of an edge at rest."""
        return sorted({path.name for path in self.folder.iterdir()} - {"haproxy.cfg", "state", "run"})


@pytest.fixture(scope="session")
def edge_image(client: Any) -> str:
    return str(client.inspect_image(roots.ensure(roots.EDGE))["Id"])


@pytest.fixture
def edge(stack: Stack, tmp_path: Path, edge_image: str) -> Iterator[Edge]:
    ensure_engine()
    taken = {one["Spec"]["Name"] for one in stack.client.services()} & {"edge", "edge-config"}
    if taken:
        pytest.skip(f"a deployment on this machine's Docker has these services: {', '.join(sorted(taken))}")
    made = Edge(stack, tmp_path, edge_image)
    yield made
    made.docker.remove_service("edge-config")
    for container in made.containers("edge-config"):
        stack.client.remove_container(container, force=True)


def test_the_first_configuration_is_only_placed(edge: Edge) -> None:
    assert edge.bring(config("one")) == ("done", "")
    assert edge.file.read_text() == config("one")
    assert (edge.folder / "state").exists()
    assert edge.left() == []


def test_a_running_edge_takes_a_new_one_and_keeps_its_task(edge: Edge) -> None:
    with edge.running(config("one")):
        tasks = edge.containers("edge")
        assert edge.answers() == "one"
        for answer in ("two", "one", "three"):
            assert edge.bring(config(answer)) == ("done", "")
            assert edge.answers() == answer, "it is in use at once"
        assert edge.containers("edge") == tasks
        assert (edge.folder / "state").stat().st_size, "the addresses of the servers were kept for the new process"
        assert edge.left() == []
        assert len(edge.containers("edge-config")) == 1, "earlier ones are gone"


def test_an_edge_that_is_about_to_be_replaced_is_not_asked_to_load_it(edge: Edge) -> None:
    """It may lack what the configuration names: the folder of the certificate, where TLS is turned on."""
    with edge.running(config("one")):
        assert edge.bring(config("two"), replaced=True) == ("done", "")
        assert (edge.answers(), edge.file.read_text()) == ("one", config("two"))
        assert edge.left() == []


def test_the_same_configuration_again_reloads_nothing(edge: Edge) -> None:
    with edge.running(config("one")):
        edge.bring(config("two"))
        before = edge.file.stat().st_mtime_ns
        assert edge.bring(config("two")) == ("done", "")
        assert edge.file.stat().st_mtime_ns == before


def test_a_change_by_hand_is_put_right(edge: Edge) -> None:
    with edge.running(config("one")):
        for text in (config("by hand"), config("one") + "# by hand\n"):
            edge.file.write_text(text)
            assert edge.bring(config("one")) == ("done", "")
            assert edge.file.read_text() == config("one")
            assert edge.answers() == "one"


def test_what_haproxy_refuses_changes_nothing(edge: Edge) -> None:
    with edge.running(config("one")):
        state, detail = edge.bring(config("two", "nonsense here\n"))
        assert state == "failed"
        assert detail.startswith("HAProxy refuses the new configuration on ")
        assert "; the old one stays in use: " in detail
        assert "unknown keyword 'nonsense'" in detail
        assert edge.file.read_text() == config("one")
        assert edge.answers() == "one"
        time.sleep(3)
        assert len(edge.containers("edge-config")) <= 2, "Swarm does not try again and again"
        assert edge.bring(config("two")) == ("done", "")
        assert edge.answers() == "two"


def test_what_haproxy_cannot_use_is_taken_back(edge: Edge) -> None:
    """The check passes, the reload does not: an address that this host does not have."""
    with edge.running(config("one")):
        state, detail = edge.bring(config("two", "frontend g\n  bind 192.0.2.7:81\n"))
        assert state == "failed"
        assert "did not take the new configuration over; the old one is back in use" in detail
        assert "cannot bind" in detail
        assert edge.file.read_text() == config("one")
        assert edge.answers() == "one"
        assert edge.left() == []
        assert edge.bring(config("two")) == ("done", "")
        assert edge.answers() == "two"


def test_a_change_that_was_killed_half_way_is_finished(edge: Edge) -> None:
    """The new file is there, but HAProxy still runs with the old one."""
    with edge.running(config("one")):
        (edge.folder / "haproxy.cfg.old").write_text(config("one"))
        edge.file.write_text(config("two"))
        assert edge.bring(config("two")) == ("done", "")
        assert edge.answers() == "two"
        assert edge.left() == []


def test_a_foreign_service_of_the_same_name_is_left_alone(edge: Edge) -> None:
    spec = edge.spec(config("one"))
    edge.docker.create({**spec, "Name": "edge-config", "EndpointSpec": None, "Mode": {"Replicated": {"Replicas": 0}}})
    with pytest.raises(DockerError, match="edge-config exists and is not the edge's"):
        edge.bring(config("one"))


def release(edge: Edge, text: str, *ports: int) -> Job:
    """A release of the edge alone."""
    job, spec = edge.stack.job({}), edge.spec(text)
    more = [{**spec["EndpointSpec"]["Ports"][0], "PublishedPort": port} for port in ports]
    spec["EndpointSpec"]["Ports"] += more
    spec["TaskTemplate"]["ContainerSpec"]["Image"] = ""
    edge.stack.pins["haproxy"] = edge.image
    entry = {"wave": 1, "image": "haproxy", "spec": spec, "depends_on": [], "stability": 0.3, "deadline": 40.0}
    return {**job, "edge": {"config": text}, "services": {"edge": entry}}


def test_a_release_that_fails_after_the_configuration_was_placed_brings_the_old_one_back(edge: Edge) -> None:
    assert end(edge.stack.run(release(edge, config("one"))))["verdict"] == "done"
    assert edge.answers() == "one"
    tasks = edge.containers("edge")
    lines = edge.stack.run(release(edge, config("two"), PORT))  # Docker refuses one port twice
    assert end(lines)["verdict"] == "rolled-back", lines
    assert end(lines)["taken_back"]["services"] == ["edge"]
    assert edge.file.read_text() == config("one")
    assert edge.answers() == "one"
    assert edge.containers("edge") == tasks
    lines = edge.stack.run(release(edge, config("two")))
    assert end(lines)["verdict"] == "done"
    assert edge.answers() == "two"
    assert end(edge.stack.run(release(edge, config("two"))))["verdict"] == "unchanged"
