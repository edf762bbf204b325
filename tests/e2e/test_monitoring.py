"""Monitoring with the programs that Debian has, on two hosts: it comes up beside ten services, sees all of them, tells
who has to know, judges releases, and goes again.

The tests build on one another, in this order.
"""

from __future__ import annotations

import json
import signal
import time
import urllib.request
from collections.abc import Iterator

import pytest

from tests.e2e import programs
from tests.e2e.conftest import MakeImages, MakeProject
from tests.e2e.monitoring.site import ALERTMANAGER, HOME, MANAGER, PROMETHEUS, Watched, make_watched, settings
from tests.e2e.monitoring.webhook import Webhook, listening
from tests.e2e.runs import docker_on, tasks
from tests.e2e.small import HOSTS, untouched
from tests.e2e.stack import SERVICES, eventually, ok, start
from tests.e2e.traffic import Traffic
from tests.lab import Lab, shell
from tests.lab.fixtures import LabFactory

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

LEFT_OUT = ("grafana", "loki", "alloy", "cadvisor")  # Debian has none of them
VOLUMES = {"llm-prometheus-data", "llm-alertmanager-data"}
BROKEN, WORSE = "billing", "user-dashboard"
ARCHIVED = "blackbox-exporter"
NOWHERE = "127.0.0.1:1/google/cadvisor:0.60.5"  # no registry is there, wherever the tests run


@pytest.fixture(scope="module")
def lab(lab_factory: LabFactory) -> Iterator[Lab]:
    made = lab_factory(HOSTS)
    yield made
    made.down()


@pytest.fixture(scope="module")
def webhook(lab: Lab) -> Iterator[Webhook]:
    with listening(f"{lab[MANAGER].ip.rpartition('.')[0]}.1") as server:
        yield server


@pytest.fixture(scope="module")
def site(lab: Lab, webhook: Webhook, make_project: MakeProject, make_images: MakeImages) -> Watched:
    """Ten services on two hosts, with TLS, and no monitoring yet. One image of it is only in an archive."""
    images = {part: programs.image(part) for part in programs.PARTS}
    made = make_watched(lab, make_project, make_images, {images[part] for part in images if part != ARCHIVED})
    shell.docker("save", "--output", str(made.project.root / f"{ARCHIVED}.tar"), images[ARCHIVED])
    parts = {part: {"image": image, "memory": "256MB"} for part, image in images.items()}
    left_out = {part: {"enabled": False} for part in LEFT_OUT}
    told = {"receivers": {"on-call": {"webhook": webhook.url, "severities": ["page"]}}}
    archives = {"images": {"archives": [f"{ARCHIVED}.tar"]}}
    made.project.settings("staging", {**settings({**parts, **left_out}, alerts=told), **archives})
    ok(made.run("staging deploy --plain"))
    return made


def test_it_comes_up_as_a_release_of_its_own(site: Watched) -> None:
    before = tasks(docker_on(site.lab[MANAGER]))
    done = ok(site.run("staging monitoring --json"))
    assert set(done.data["release"]["changed"]) == {*programs.PARTS, "edge"}
    after = tasks(docker_on(site.lab[MANAGER]))
    assert {name: after[name] for name in SERVICES} == {name: before[name] for name in SERVICES}
    assert ok(site.run("staging monitoring --json")).data["verdict"] == "unchanged"
    assert "monitoring" in ok(site.run("staging history --plain")).stdout


def test_everything_is_seen(site: Watched) -> None:
    def all_up() -> bool:
        assert site.values('max by (service) (up{job="services"})') == dict.fromkeys(SERVICES, 1.0)
        assert site.values('min by (service) (probe_success{job="replicas"})') == dict.fromkeys(SERVICES, 1.0)
        assert set(site.values('min by (service) (probe_success{job="edge-probe"})').values()) == {1.0}
        for job in ("node", "edge", "edge-certificate"):
            assert set(site.values(f'up{{job="{job}"}}', "instance").values()) == {1.0}, job
            assert len(site.values(f'up{{job="{job}"}}', "instance")) == len(HOSTS), job
        assert set(site.values("node_uname_info", "nodename")) == set(HOSTS)
        return True

    eventually("all targets are up", all_up, 60)


def test_releases_are_told(site: Watched) -> None:
    """By the engine, in a file that the node exporter of the manager reads."""
    assert site.values("llmdeploy:release_number", "action") == {"monitoring": 2.0}
    wanted = site.values("service:replicas_wanted")
    assert {name: wanted[name] for name in SERVICES} == dict.fromkeys(SERVICES, 1.0)


def test_a_service_breaks(site: Watched) -> None:
    """Somebody ends it by hand; what becomes of it is looked at when its alert has had its time."""
    site.lab[MANAGER].docker(["service", "scale", "--detach", f"{BROKEN}=0"])


def test_open_says_where_to_look(site: Watched) -> None:
    said = ok(site.run("staging monitoring open --json")).data
    assert {one["part"]: one["port"] for one in said["addresses"]} == {"prometheus": 9090, "alertmanager": 9093}
    assert all(one["url"].startswith("https://") for one in said["addresses"])
    assert "127.0.0.1:9090:127.0.0.1:9090" in said["tunnel"]


def test_a_tunnel_brings_it_to_this_machine(site: Watched) -> None:
    running = start(site.project, "staging monitoring open --tunnel")

    def ready() -> bool:
        url = f"https://localhost:{PROMETHEUS}/-/ready"
        with urllib.request.urlopen(url, timeout=3, context=site.trusting) as answer:
            return bool(answer.status == 200)

    eventually("Prometheus answers here", ready, 30)
    running.signal(signal.SIGINT, group=True)
    ok(running.end())


def test_what_has_no_login_answers_to_the_environments_own_hosts_only(site: Watched) -> None:
    assert site.refused(PROMETHEUS)
    assert site.refused(ALERTMANAGER)
    assert not site.refused(3000), "others answer to everybody"
    assert site.ask("/api/v2/status", port=ALERTMANAGER)["config"]


def test_an_image_that_cannot_be_had_changes_nothing(site: Watched) -> None:
    with untouched(site):
        more = ("monitoring.parts.cadvisor.enabled=true", f"monitoring.parts.cadvisor.image={NOWHERE}")
        done = ok(site.run("staging monitoring --plain", *more), 1)
    for word in (NOWHERE, "images.archives", "docker load", "docker login"):
        assert word in done.stdout + done.stderr


def test_a_broken_service_is_told_in_its_time(site: Watched, webhook: Webhook) -> None:
    firing = eventually("the webhook is told", lambda: webhook.about("ServiceDown", "firing"), 150)
    (labels,) = {json.dumps(one["labels"], sort_keys=True) for one in firing}
    assert json.loads(labels)["service"] == BROKEN
    assert BROKEN in firing[0]["annotations"]["summary"]
    assert firing[0]["annotations"]["runbook_url"].endswith("/ServiceDown.md")
    site.lab[MANAGER].docker(["service", "scale", "--detach", f"{BROKEN}=1"])
    eventually("it is well again", lambda: site.values("service:replicas_running").get(BROKEN) == 1.0, 60)


def test_a_bad_update_is_taken_back_by_what_its_metrics_say(site: Watched) -> None:
    """It is healthy and answers; every other of its answers is an error."""
    before = tasks(docker_on(site.lab[MANAGER]))
    with Traffic(site.lab[MANAGER].ip, 3000, path="/", tls=site.trusting) as traffic:
        traffic.flows()
        bad = f"services.{WORSE}.environment.DEMO_ERRORS=0.5"
        done = ok(site.run(f"staging update {WORSE} --json", bad), 6)
        assert "error ratio" in done.envelope["errors"][0]["message"]
        traffic.flows()
    after = tasks(docker_on(site.lab[MANAGER]))
    assert {name for name in after if after[name] != before[name]} == {WORSE}
    silences = [one for one in site.ask("/api/v2/silences", port=ALERTMANAGER) if "update" in one["comment"]]
    assert [one["status"]["state"] for one in silences] == ["expired"]
    assert [one["value"] for one in silences[0]["matchers"] if one["name"] == "service"] == [f"^({WORSE})$"]


def test_and_that_it_is_over(site: Watched, webhook: Webhook) -> None:
    (resolved, *_) = eventually("the webhook is told", lambda: webhook.about("ServiceDown", "resolved"), 60)
    assert resolved["labels"]["service"] == BROKEN
    assert site.values(f'ALERTS{{alertname="ServiceDown",service="{BROKEN}"}}') == {}


def test_another_setting_reaches_a_running_prometheus_which_keeps_its_data(site: Watched) -> None:
    moment = time.time()
    site.project.set("staging", "monitoring.alerts.latency", "7s")
    site.project.set("staging", "monitoring.retention", {"metrics": "3d", "size": "64MB"})
    changed = ok(site.run("staging deploy --json")).data["release"]["changed"]
    assert changed == ["prometheus"], "a deploy keeps what the verb has brought up"
    rules = json.dumps(site.ask("/api/v1/rules", {"type": "alert"}))
    assert "service:latency_seconds:p95_5m > 7" in rules
    flags = site.ask("/api/v1/status/flags")["data"]
    assert (flags["storage.tsdb.retention.time"], flags["storage.tsdb.retention.size"]) == ("3d", "64MiB")
    assert site.values('up{job="prometheus"}', time=f"{moment:.3f}"), "what it saw before"


def test_its_data_survives_a_reboot_of_its_host(site: Watched) -> None:
    moment = time.time()
    site.lab[HOME].kill()
    site.lab[HOME].start()
    eventually("it answers again", lambda: site.values('up{job="prometheus"} == 1'), 120)
    assert set(site.values('up{job="prometheus"}', time=f"{moment:.3f}")) == {"prometheus"}, "what it saw before"
    eventually("all is healthy", lambda: site.run("staging status").code == 0)


def test_it_goes_and_its_data_stays_until_somebody_says_so(site: Watched) -> None:
    def volumes() -> set[str]:
        return set(site.lab[HOME].docker("volume ls --quiet").stdout.split()) & VOLUMES

    before = tasks(docker_on(site.lab[MANAGER]))
    ok(site.run("staging monitoring --remove --plain"))
    after = tasks(docker_on(site.lab[MANAGER]))
    assert set(before) - set(after) == set(programs.PARTS)
    assert {name: after[name] for name in SERVICES} == {name: before[name] for name in SERVICES}
    assert volumes() == VOLUMES
    ok(site.run("staging monitoring --remove --data --yes --plain"))
    assert volumes() == set()
    ok(site.run("staging plan"))  # nothing: it stays away
    planned = ok(site.run("staging plan --json", "monitoring.enabled=true"), 10).data["services"]
    created = {one["name"] for one in planned if one["action"] == "create"}
    assert created == set(programs.PARTS), "where the files switch it on it is part of every deploy"
