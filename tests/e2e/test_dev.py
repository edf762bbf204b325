"""The dev environment on this very machine: one command, ten healthy services, a chat, and nothing left afterwards.

The tests build on one another, in this order.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import ssl
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.conftest import MakeProject
from tests.e2e.runs import Snapshot, docker_here, snapshot
from tests.e2e.stack import (
    GRPC_PORTS,
    HTTP_PORTS,
    SERVICES,
    SERVING,
    Project,
    Result,
    chat,
    cli,
    eventually,
    grpc_health,
    ok,
    request,
    websocket_text,
)
from tests.lab import roots, shell
from tests.lab.engine import ensure_engine

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

HERE = "127.0.0.1"
FOLDERS = (Path("/opt/llmdeploy"), Path("/var/lib/llmdeploy"))
DAEMON = Path("/etc/docker/daemon.json")
HI = {"messages": [{"role": "user", "content": "Hi"}]}


@pytest.fixture(scope="module")
def dev(make_project: MakeProject, demo_images: list[str]) -> Iterator[Project]:
    ensure_engine()
    if reason := taken():
        pytest.skip(reason)
    before = DAEMON.read_text() if DAEMON.exists() else None
    # Docker is not restarted for new settings while something runs: the labs of other workers are on it, too, and one
    # that was just making its network was seen to leave a store that Docker does not start with any more.
    keeper = shell.docker("run", "--detach", "--network", "none", roots.ensure(roots.TINY), "sleep", "3600").stdout
    try:
        yield make_project()
    finally:
        clean(before)
        shell.docker("rm", "--force", keeper.strip())


def taken() -> str:
    """Why this machine cannot play the host now, empty when it can."""
    state = shell.docker("info", "--format", "{{.Swarm.LocalNodeState}}").stdout.strip()
    if state != "inactive":
        return f"this machine's Docker is in a Swarm already ({state}): somebody else uses it"
    for path in (FOLDERS[0], FOLDERS[1] / "host.json"):  # building the images has made the second folder
        if path.exists():
            return f"{path} is there already: a deployment of somebody else"
    ports = [*HTTP_PORTS.values(), *(port for ports in GRPC_PORTS.values() for port in ports), 8404]
    busy = [port for port in ports if not free(port)]
    return f"ports in use on this machine: {busy}" if busy else ""


def free(port: int) -> bool:
    with closing(socket.socket()) as probe:
        return probe.connect_ex((HERE, port)) != 0


def clean(daemon_json: str | None) -> None:
    """Take everything off this machine that the deployment has brought."""
    if shell.docker("info", "--format", "{{.Swarm.LocalNodeState}}").stdout.strip() == "active":
        ours = shell.docker("service", "ls", "--quiet", "--filter", "label=llmdeploy.stack=llm").stdout.split()
        if ours:
            shell.docker("service", "rm", *ours)
        if not shell.docker("service", "ls", "--quiet").stdout.split():  # else somebody else has come meanwhile
            shell.docker("swarm", "leave", "--force")
    shell.docker("network", "rm", "llm-network", check=False)
    shell.run(shell.as_root("rm", "-rf", *map(str, FOLDERS)))
    if daemon_json is None:
        shell.run(shell.as_root("rm", "-f", str(DAEMON)))
    else:
        shell.run(shell.as_root("tee", str(DAEMON)), input=daemon_json)


def state() -> Snapshot:
    return snapshot(
        docker_here, {"here": lambda words: docker_here([*words, "--filter", "label=com.docker.swarm.service.id"])}
    )


@pytest.fixture(scope="module")
def deployed(dev: Project) -> Result:
    return ok(cli(dev, "dev deploy --json"))


def test_one_command_brings_all_ten_up_in_order(deployed: Result) -> None:
    assert deployed.data["verdict"] == "done"
    assert sorted(deployed.data["release"]["done"]) == sorted(("edge", *SERVICES))
    begun = {
        one["name"]: number
        for number, one in reversed([*enumerate(deployed.events("service"))])
        if one["state"] == "starting"
    }
    done = {one["name"]: number for number, one in enumerate(deployed.events("service")) if one["state"] == "done"}
    for later, earlier in (("head-go", "model-proxy"), ("auth-service", "secrets-service"), ("gateway", "head-go"),
                           ("gateway", "billing"), ("tail-go", "gateway"), ("user-dashboard", "tail-go")):  # fmt: skip
        assert done[earlier] < begun[later], (later, earlier)
    checks = {one["name"]: one for one in deployed.events("check")}
    assert checks["chat completion"]["ok"], checks
    assert f"http://{HERE}:3000" in [one["url"] for one in deployed.data["addresses"]]


def test_status_shows_all_ten_healthy(dev: Project, deployed: Result) -> None:
    data = ok(cli(dev, "dev status --json")).data
    rows = {row["name"]: row for row in data["services"]}
    assert sorted(rows) == sorted(("edge", *SERVICES))
    assert {(row["state"], row["healthy"], row["wanted"]) for row in rows.values()} == {("healthy", 1, 1)}
    assert (data["missing"], data["orphans"], data["running"]) == ([], [], None)
    assert (data["release"]["verdict"], data["on"]["number"], data["open"]) == ("good", 1, None)


def test_a_chat_goes_through_the_whole_chain_and_is_billed(deployed: Result) -> None:
    def billed() -> int:
        bill = request(HERE, 3001, "/v1/state").json["billing"]
        return sum(int(one["total_tokens"]) for one in bill.values())

    before = billed()
    answer = chat(HERE, "What is a load balancer?")
    assert answer.status == 200, answer
    assert answer.json["choices"][0]["message"]["content"]
    via = answer.headers["x-served-via"]
    assert [part.split("/")[0] for part in (answer.served_by, *via.split(", "))] == [
        "tail-go",
        "gateway",
        "head-go",
        "model-proxy",
    ]
    tokens = answer.json["usage"]["total_tokens"]
    assert tokens > 0
    eventually("billing has counted the tokens", lambda: billed() == before + tokens)


def test_streaming_and_whole_answers_say_the_same(deployed: Result) -> None:
    streamed = chat(HERE, "Tell me more", stream=True)
    assert streamed.headers["content-type"].startswith("text/event-stream")
    pieces = [piece["choices"][0]["delta"].get("content") or "" for piece in streamed.stream if piece["choices"]]
    assert len(pieces) > 3
    assert "".join(pieces) == chat(HERE, "Tell me more").json["choices"][0]["message"]["content"]


def test_a_wrong_key_is_refused(deployed: Result) -> None:
    answer = chat(HERE, key="wrong")
    assert answer.status == 401
    assert answer.json["error"]


def test_every_published_port_answers_its_protocol(deployed: Result) -> None:
    for name, port in HTTP_PORTS.items():
        health = request(HERE, port).json
        assert (health["status"], health["service"]) == ("ok", name)
    for name, ports in GRPC_PORTS.items():
        for port in ports:
            assert grpc_health(HERE, port) == SERVING
            assert grpc_health(HERE, port, name) == SERVING


def test_the_dashboards_are_pages_and_show_live_state(deployed: Result) -> None:
    for port in (3000, 3001):
        page = request(HERE, port, "/")
        assert page.status == 200
        assert "<html" in page.body
    pushed = json.loads(websocket_text(HERE, 3001, "/live"))
    assert sorted(one["name"] for one in pushed["services"]) == sorted(SERVICES)
    said = request(HERE, 3000, "/chat", method="POST", headers={"Authorization": "Bearer demo-key"}, body=HI)
    assert said.status == 200, said
    assert len(said.stream) > 1


def test_verify_asks_every_port_and_the_chain(dev: Project, deployed: Result) -> None:
    data = ok(cli(dev, "dev verify --json")).data
    assert data["failed"] == 0
    assert all(check["ok"] and check["ms"] > 0 for check in data["checks"])
    names = [check["name"] for check in data["checks"]]
    assert "chat completion" in names
    assert {check["service"] for check in data["checks"]} >= set(SERVICES)


def test_a_second_deploy_changes_nothing(dev: Project, deployed: Result) -> None:
    assert ok(cli(dev, "dev plan --json")).data["changes"] is False
    before = state()
    again = ok(cli(dev, "dev deploy --json"))
    assert again.data["verdict"] == "unchanged"
    assert state() == before


def test_full_skips_nothing_and_still_changes_no_service(dev: Project, deployed: Result) -> None:
    before = state()
    ok(cli(dev, "dev deploy --full --json"))
    assert state().tasks == before.tasks
    assert state().versions == before.versions


def test_the_launcher_does_the_same(dev: Project, deployed: Result, tmp_path: Path) -> None:
    """`./deploy.sh` in a clone, where TLS is on: it makes what it needs, and a client that trusts it is answered."""
    root, clone = Path(__file__).parents[2], tmp_path / "clone"
    files = subprocess.run(["git", "ls-files", "-z"], cwd=root, capture_output=True, text=True, check=True).stdout
    for name in files.split("\0"):
        if name and (root / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / name, clone / name)
    (clone / ".venv").mkdir()
    (clone / ".venv" / "bin").symlink_to(root / ".venv" / "bin")
    made_of = [clone / "pyproject.toml", clone / "hatch_build.py", *sorted((clone / "probe").iterdir())]
    digest = hashlib.sha256(b"".join(file.read_bytes() for file in made_of)).hexdigest()
    (clone / ".venv" / ".llmdeploy-test").write_text(f"{digest}  -")  # set up already: the launcher installs nothing
    done = subprocess.run(
        ["./deploy.sh", "dev", "deploy", "--yes", "--json"],
        cwd=clone, capture_output=True, text=True, timeout=300, check=False, env=dev.environ({}),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    for secret in (".vault-password", "environments/dev.secrets.yml"):
        assert (clone / secret).stat().st_mode & 0o777 == 0o600
    trusted = ssl.create_default_context(cafile=str(clone / "environments" / "dev.authority.crt"))
    with urllib.request.urlopen(f"https://{HERE}:8000/health", timeout=10, context=trusted) as answer:
        assert answer.status == 200
