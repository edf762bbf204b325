"""Who may write, what was planned, what is left over: lock, plan files and prune with the command."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import MakeImages, MakeProject
from tests.e2e.runs import docker_on, services
from tests.e2e.small import HOSTS, Site, make_site, untouched
from tests.e2e.stack import cli, eventually, ok, start
from tests.lab import Host
from tests.lab.fixtures import LabFactory

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def site(lab_factory: LabFactory, make_project: MakeProject, make_images: MakeImages) -> Iterator[Site]:
    lab = lab_factory(HOSTS)
    site = make_site(lab, make_project, make_images)
    site.ready()
    yield site
    lab.down()


def locked_by(site: Site) -> dict[str, str]:
    """The labels of the lock, none when nobody holds it."""
    ask = ["config", "inspect", "--format", "{{range $k, $v := .Spec.Labels}}{{$k}}={{$v}}{{println}}{{end}}"]
    said = site.lab["head"].docker([*ask, "small.lock"], check=False).stdout
    return dict(line.split("=", 1) for line in said.splitlines() if "=" in line)


def has(host: Host, image: str) -> bool:
    return host.docker(["image", "inspect", image], check=False).returncode == 0


def make(host: Host, image: str) -> None:
    """An image that no other is like."""
    host.exec(
        f"mkdir /tmp/i && echo {image} > /tmp/i/name && tar -c -C /tmp/i . | docker import - {image}; rm -r /tmp/i"
    )


def test_a_command_that_is_killed_before_its_release_begins_keeps_nobody_out(site: Site) -> None:
    first = start(site.project, site.words("staging deploy --full --plain -m first"))
    eventually("it holds the lock", lambda: locked_by(site).get("holder") == "command", 60)
    first.kill()
    assert locked_by(site)["reason"] == "first"
    began = time.monotonic()
    second = ok(site.run("staging deploy --full --plain"))
    assert "took over the lock of a run that gives no sign of life" in second.stdout
    assert "(first)" in second.stdout
    assert time.monotonic() - began > 10, "a living holder would have been thrown out"
    assert locked_by(site) == {}


def test_what_was_planned_is_done_or_nothing_is(site: Site) -> None:
    value, plan = "services.billing.environment.PLANNED=1", site.project.root / "plan.json"
    ok(site.run(f"staging deploy --plan-file {plan}", value), 10)
    assert plan.stat().st_mode & 0o777 == 0o600
    with untouched(site):
        other = ok(site.run(f"staging deploy --plan-file {plan}", value, "services.billing.replicas=2"), 4)
    assert "the configuration has changed: billing (replicas 1 → 2)" in other.stderr
    site.lab["head"].docker("service update --quiet --detach --label-add by=hand rate-limiter")
    with untouched(site):
        changed = ok(site.run(f"staging deploy --plan-file {plan}", value), 4)
    assert "the cluster has changed: rate-limiter (changed)" in changed.stderr
    plan.unlink()
    ok(site.run(f"staging deploy --plan-file {plan}", value), 10)
    ok(site.run(f"staging deploy --plan-file {plan} --plain", value))
    assert "PLANNED=1" in str(services(docker_on(site.lab["head"]))["billing"]["Spec"])


def test_prune_takes_what_is_ours_and_not_needed(site: Site) -> None:
    head, tail = site.lab["head"], site.lab["tail"]
    for host in (head, tail):
        make(host, "llmdeploy/demo:forgotten")
    make(tail, "stranger:1")
    said = ok(site.run("staging prune --yes --json")).data
    assert (said["removed"], said["changes"]) == (True, True)
    gone = {row["host"]: [name for one in row["images"] for name in one["names"]] for row in said["hosts"]}
    assert gone == {name: ["llmdeploy/demo:forgotten"] for name in ("head-server", "tail-server")}
    assert not has(head, "llmdeploy/demo:forgotten")
    assert has(tail, "stranger:1")
    assert all(has(host, image) for host in (head, tail) for image in site.images)
    again = ok(cli(site.project, "staging prune --plain"))
    assert "nothing to remove" in again.stdout
