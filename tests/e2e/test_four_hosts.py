"""Staging on four hosts over real SSH, one of them bare: the first deploy, the second, and a change.

The tests build on one another, in this order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.conftest import MakeProject
from tests.e2e.runs import docker_on, lab_snapshot, services, tasks
from tests.e2e.stack import (
    ANSI,
    GRPC_PORTS,
    HTTP_PORTS,
    RARELY,
    SERVICES,
    SERVING,
    Project,
    Result,
    chat,
    cli,
    grpc_health,
    in_terminal,
    ok,
    request,
)
from tests.lab import Lab
from tests.lab.fixtures import FOUR_HOSTS, LabFactory

pytestmark = [pytest.mark.lab, pytest.mark.timeout(1200)]

PLACES = {
    "head-go": "head",
    "model-proxy": "model-proxy",
    "admin-dashboard": "ui",
    "user-dashboard": "ui",
    **dict.fromkeys(("tail-go", "gateway", "auth-service", "billing", "rate-limiter", "secrets-service"), "tail"),
}
DOCKER_STEP = "Install, set up and start Docker"


@dataclass(frozen=True)
class Staging:
    """Four hosts, a project for them, and how its first deploy ended."""

    lab: Lab
    project: Project
    first: Result


@pytest.fixture(scope="module")
def staging(lab_factory: LabFactory, make_project: MakeProject, demo_images: list[str]) -> Iterator[Staging]:
    """The `ui` host has no Docker before."""
    lab = lab_factory(FOUR_HOSTS, bare=["ui"])
    try:
        lab.load(*demo_images)
        project = make_project()
        project.inventory("staging", lab.inventory_ini("deploy"))
        project.set("staging", "defaults", RARELY)
        assert lab["ui"].ssh("command -v dockerd docker", check=False).stdout == ""
        yield Staging(lab, project, ok(cli(project, "staging deploy --yes --json")))
    finally:
        lab.down()


# --- the first deploy


def test_one_command_brings_all_ten_up(staging: Staging) -> None:
    data = staging.first.data
    assert data["verdict"] == "done"
    assert sorted(data["release"]["done"]) == sorted(("edge", *SERVICES))
    assert data["unreachable"] == {}


def test_the_bare_host_was_given_docker_and_no_other(staging: Staging) -> None:
    ui = staging.lab["ui"]
    steps = staging.first.events("host")
    assert {one["host"] for one in steps if one["phase"] == "Prepare"} >= {"ui-server"}
    assert ui.docker(["info", "--format", "{{.LoggingDriver}} {{.Swarm.LocalNodeState}}"]).stdout.split() == [
        "json-file",
        "active",
    ]
    assert json.loads(ui.ssh("cat /etc/docker/daemon.json").stdout)["log-opts"] == {"max-size": "10m", "max-file": "3"}
    assert not ui.ssh("test -d /run/systemd/system && echo systemd", check=False).stdout
    when = "dpkg-query --show --showformat '${Status}' docker.io"
    assert ui.ssh(when).stdout == "install ok installed"


def test_json_is_events_and_exactly_one_envelope_at_the_end(staging: Staging) -> None:
    lines = staging.first.lines
    assert [number for number, line in enumerate(lines) if "llmdeploy" in line] == [len(lines) - 1]
    assert all({"t", "kind"} <= set(line) for line in lines[:-1])
    envelope = staging.first.envelope
    assert {key: envelope[key] for key in ("llmdeploy", "command", "status", "exit_code", "errors")} == {
        "llmdeploy": 1, "command": "staging deploy", "status": "success", "exit_code": 0, "errors": [],
    }  # fmt: skip
    phases = [one["name"] for one in staging.first.events("phase")]
    assert phases == ["Look", "Prepare", "Firewall", "Cluster", "Images", "Release"]
    assert staging.first.stderr == ""


def test_every_service_runs_on_the_host_of_its_group(staging: Staging) -> None:
    found = {name: sorted(nodes.values()) for name, nodes in tasks(docker_on(staging.lab["head"])).items()}
    assert found == {"edge": sorted(FOUR_HOSTS), **{name: [host] for name, host in PLACES.items()}}


def test_status_shows_hosts_and_services(staging: Staging) -> None:
    data = ok(cli(staging.project, "staging status --json")).data
    assert {node["name"]: (node["state"], node["availability"]) for node in data["nodes"]} == dict.fromkeys(
        FOUR_HOSTS, ("ready", "active")
    )
    assert sorted(node["role"] for node in data["nodes"]) == ["leader", "manager", "manager", "worker"]
    assert {(row["name"], row["state"], row["healthy"], row["wanted"]) for row in data["services"]} == {
        ("edge", "healthy", 4, 4), *((name, "healthy", 1, 1) for name in SERVICES),
    }  # fmt: skip
    assert (data["missing"], data["orphans"], data["running"]) == ([], [], None)


@pytest.mark.parametrize("name", FOUR_HOSTS)
def test_every_published_port_answers_on_every_host(staging: Staging, name: str) -> None:
    address = staging.lab[name].ip
    for service, port in HTTP_PORTS.items():
        assert request(address, port).json["service"] == service
    for ports in GRPC_PORTS.values():
        assert [grpc_health(address, port) for port in ports] == [SERVING] * len(ports)
    answer = chat(address)
    assert answer.status == 200, answer
    assert answer.served_by.startswith("tail-go/")


def test_verify_asks_everything(staging: Staging) -> None:
    data = ok(cli(staging.project, "staging verify --json")).data
    assert data["failed"] == 0
    assert {check["service"] for check in data["checks"]} >= set(SERVICES)


def test_the_run_has_a_log_for_people(staging: Staging) -> None:
    log = Path(staging.first.data["log"])
    assert log in staging.project.logs("staging")
    assert log.stat().st_mode & 0o777 == 0o600
    text = log.read_text()
    assert "staging deploy" in text.splitlines()[0]
    assert all(name in text for name in (*SERVICES, "ui-server"))
    assert not ANSI.search(text)
    assert "demo-key" not in text


# --- the second deploy


def test_a_second_deploy_changes_nothing(staging: Staging) -> None:
    before = lab_snapshot(staging.lab)
    again = ok(cli(staging.project, "staging deploy --yes --plain"))
    assert "nothing to change" in again.stdout
    assert lab_snapshot(staging.lab) == before
    plan = ok(cli(staging.project, "staging plan --json"))
    assert plan.data["changes"] is False
    assert {row["action"] for row in plan.data["services"]} == {"unchanged"}
    assert (plan.data["drift"], plan.data["on"]) == ([], 1)


def test_what_was_changed_by_hand_is_in_the_plan(staging: Staging) -> None:
    by_hand = "service update --detach {} billing"
    staging.lab["head"].docker(by_hand.format("--label-add team=ours"))  # no task restarts for that
    plan = ok(cli(staging.project, "staging plan --json"), 10)
    staging.lab["head"].docker(by_hand.format("--label-rm team"))
    (row,) = plan.data["drift"]
    assert (row["service"], row["changes"]) == ("billing", [{"what": "label team added", "then": "goes back"}])
    assert ok(cli(staging.project, "staging plan --json")).data["drift"] == []


def test_attach_shows_how_the_last_release_ended(staging: Staging) -> None:
    data = ok(cli(staging.project, "staging attach --json")).data
    assert (data["verdict"], data["under_way"]) == ("done", False)


# --- a change


def test_plan_shows_a_change_and_makes_none(staging: Staging) -> None:
    staging.project.set("staging", "services.billing.environment.DEMO_VERSION", "2")
    before = lab_snapshot(staging.lab)
    plan = ok(cli(staging.project, "staging plan --json"), 10)
    assert plan.data["changes"] is True
    rows = {row["name"]: row for row in plan.data["services"]}
    assert [name for name, row in rows.items() if row["action"] != "unchanged"] == ["billing"]
    assert "DEMO_VERSION" in str(rows["billing"]["changes"])
    assert lab_snapshot(staging.lab) == before


def test_a_change_of_one_service_restarts_only_that_one(staging: Staging) -> None:
    before = lab_snapshot(staging.lab)
    run = ok(cli(staging.project, "staging deploy --yes --plain"))
    assert not ANSI.search(run.stdout + run.stderr)
    assert "billing" in run.stdout
    after = lab_snapshot(staging.lab)
    moved = [name for name, found in after.tasks.items() if found != before.tasks[name]]
    written = [name for name, version in after.versions.items() if version != before.versions[name]]
    assert (moved, written) == (["billing"], ["billing"])
    assert after.containers["head"] == before.containers["head"]
    spec = services(docker_on(staging.lab["head"]))["billing"]["Spec"]["TaskTemplate"]["ContainerSpec"]
    assert "DEMO_VERSION=2" in spec["Env"]
    assert ok(cli(staging.project, "staging plan")).stdout


def test_quiet_says_only_the_result(staging: Staging) -> None:
    run = ok(
        cli(
            staging.project,
            ["staging", "deploy", "--yes", "-q", "--set", "services.billing.environment.DEMO_VERSION=3"],
        )
    )
    assert not ANSI.search(run.stdout + run.stderr)
    assert "==" not in run.stdout, "no phases"
    assert "staging: deployed" in run.stdout
    assert run.stderr == ""


def test_an_environment_that_asks_first_and_a_live_view_in_a_terminal(staging: Staging) -> None:
    staging.project.set("staging", "confirm", True)
    staging.project.set("staging", "services.billing.environment.DEMO_VERSION", "4")
    before = lab_snapshot(staging.lab)
    ok(cli(staging.project, "staging deploy"), 2)
    said_no = in_terminal(staging.project, "staging deploy", {"Change staging so?": "n"})
    assert said_no.code == 2, said_no
    assert lab_snapshot(staging.lab) == before
    said_yes = in_terminal(staging.project, "staging deploy", {"Change staging so?": "y"})
    assert said_yes.code == 0, said_yes
    assert not said_yes.left, said_yes
    assert "DEMO_VERSION" in said_yes.stdout, "the plan is shown before the question"
    assert ANSI.search(said_yes.stdout)
    assert "staging: deployed" in said_yes.stdout
    assert lab_snapshot(staging.lab).tasks["billing"] != before.tasks["billing"]
