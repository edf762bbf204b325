"""Monitoring with the programs that Debian has, on two hosts: it comes up beside ten services, sees all of them, tells
who has to know, judges releases, and goes again.

The tests build on one another, in this order.
"""

from __future__ import annotations

import json
import signal
import ssl
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.e2e import programs
from tests.e2e.conftest import MakeImages, MakeProject
from tests.e2e.runs import docker_on, tasks
from tests.e2e.small import HOSTS, Site, untouched
from tests.e2e.stack import SERVICES, eventually, ok, start
from tests.e2e.traffic import Traffic
from tests.lab import Lab
from tests.lab.fixtures import LabFactory

pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]

GROUPS = {"head": ["head"], "model-proxy": ["head"], "tail": ["tail"], "ui": ["tail"]}
HOME = "tail"  # the host that the monitoring's data is on: its group is ui
LEFT_OUT = ("grafana", "loki", "alloy", "cadvisor")  # Debian has none of them
PROMETHEUS, ALERTMANAGER = 9090, 9093
VOLUMES = {"llm-prometheus-data", "llm-alertmanager-data"}
BROKEN, WORSE = "billing", "user-dashboard"


@dataclass
class Webhook:
    """A server that is told of alerts, and remembers what it was told."""

    url: str
    told: list[dict[str, Any]] = field(default_factory=list)

    def about(self, alert: str, status: str) -> list[dict[str, Any]]:
        """The alerts of this name and status that it was told."""
        found = (one for message in list(self.told) for one in message["alerts"])
        return [one for one in found if one["labels"]["alertname"] == alert and one["status"] == status]


@pytest.fixture(scope="module")
def lab(lab_factory: LabFactory) -> Iterator[Lab]:
    made = lab_factory(HOSTS)
    yield made
    made.down()


@pytest.fixture(scope="module")
def webhook(lab: Lab) -> Iterator[Webhook]:
    """On this machine, where the lab's hosts reach it."""
    told: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer((f"{lab['head'].ip.rpartition('.')[0]}.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Webhook(f"http://{server.server_name}:{server.server_port}/", told)
    server.shutdown()


@pytest.fixture(scope="module")
def site(lab: Lab, webhook: Webhook, make_project: MakeProject, make_images: MakeImages) -> Site:
    """Ten services on two hosts, with TLS, and no monitoring yet."""
    project = make_project()
    catalogue = project.root / "inventory" / "group_vars" / "all.yml"
    catalogue.write_text(catalogue.read_text().replace("\ntls: {mode: off, allow_plaintext: true}\n", ""))
    project.inventory("staging", lab.inventory_ini(groups=GROUPS))
    password = project.root / ".vault-password"
    password.write_text("correct-horse-battery-7c41\n")
    password.chmod(0o600)
    images = make_images(project, "staging")
    parts = {part: programs.image(part) for part in programs.PARTS}
    lab.load(*images, *parts.values())
    made = Site(lab, project, images)
    ok(made.run("staging secrets init"))
    project.settings("staging", settings(parts, webhook.url))
    ok(made.run("staging deploy --plain"))
    return made


def settings(parts: dict[str, str], url: str) -> dict[str, Any]:
    """environments/staging.yml: small services that end quickly, and parts that there are programs for."""
    own = {part: {"image": name, "memory": "256MB"} for part, name in parts.items()}
    return {
        "defaults": {"stop_grace": 3, "environment": {"DEMO_NOTICE": 0}},
        "services": {name: {"memory": "256MB", "cpus": 0.5} for name in SERVICES},
        "monitoring": {
            "interval": "2s",
            "alerts": {"receivers": {"on-call": {"webhook": url, "severities": ["page"]}}},
            "parts": {**own, **{part: {"enabled": False} for part in LEFT_OUT}},
        },
    }


def ask(site: Site, path: str, query: Mapping[str, str] | None = None, *, port: int = PROMETHEUS) -> Any:
    """What Prometheus or Alertmanager answers through the edge, to a host of the environment."""
    head = site.lab["head"]
    authority = ok(site.run("staging tls ca")).stdout
    head.exec(f"cat > /tmp/ca.crt <<'END'\n{authority}END")
    url = f"https://{head.ip}:{port}{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
    said = head.exec(f"curl --silent --globoff --max-time 10 --cacert /tmp/ca.crt '{url}'").stdout
    assert said.startswith("{"), said[:200]  # 503 while nobody is there
    return json.loads(said)


def values(site: Site, query: str, by: str = "service", **more: str) -> dict[str, float]:
    """Service (or another label) → value of a query."""
    found = ask(site, "/api/v1/query", {"query": query, **more})["data"]["result"]
    return {one["metric"].get(by, ""): float(one["value"][1]) for one in found}


def refused(site: Site, port: int) -> bool:
    """Whether this machine, which is none of the environment's hosts, gets no answer."""
    context = ssl.create_default_context(cadata=ok(site.run("staging tls ca")).stdout)
    try:
        urllib.request.urlopen(f"https://{site.lab['head'].ip}:{port}/", timeout=3, context=context).read()
    except OSError:
        return True
    return False


def test_it_comes_up_as_a_release_of_its_own(site: Site) -> None:
    before = tasks(docker_on(site.lab["head"]))
    done = ok(site.run("staging monitoring --json"))
    assert set(done.data["release"]["changed"]) == {*programs.PARTS, "edge"}
    after = tasks(docker_on(site.lab["head"]))
    assert {name: after[name] for name in SERVICES} == {name: before[name] for name in SERVICES}
    assert ok(site.run("staging monitoring --json")).data["verdict"] == "unchanged"
    assert ok(site.run("staging deploy --json")).data["verdict"] == "unchanged", "a deploy keeps it"
    assert "monitoring" in ok(site.run("staging history --plain")).stdout


def test_everything_is_seen(site: Site) -> None:
    def all_up() -> bool:
        assert values(site, 'max by (service) (up{job="services"})') == dict.fromkeys(SERVICES, 1.0)
        assert values(site, 'min by (service) (probe_success{job="replicas"})') == dict.fromkeys(SERVICES, 1.0)
        assert set(values(site, 'min by (service) (probe_success{job="edge-probe"})').values()) == {1.0}
        for job in ("node", "edge", "edge-certificate"):
            assert set(values(site, f'up{{job="{job}"}}', "instance").values()) == {1.0}, job
            assert len(values(site, f'up{{job="{job}"}}', "instance")) == len(HOSTS), job
        assert set(values(site, "node_uname_info", "nodename")) == set(HOSTS)
        return True

    eventually("all targets are up", all_up, 60)


def test_releases_are_told(site: Site) -> None:
    """By the engine, in a file that the node exporter of the manager reads."""
    assert values(site, "llmdeploy:release_number", "action") == {"monitoring": 2.0}
    wanted = values(site, "service:replicas_wanted")
    assert {name: wanted[name] for name in SERVICES} == dict.fromkeys(SERVICES, 1.0)


def test_a_service_breaks(site: Site) -> None:
    """Somebody ends it by hand; what becomes of it is looked at when its alert has had its time."""
    site.lab["head"].docker(["service", "scale", "--detach", f"{BROKEN}=0"])


def test_open_says_where_to_look(site: Site) -> None:
    said = ok(site.run("staging monitoring open --json")).data
    assert {one["part"]: one["port"] for one in said["addresses"]} == {"prometheus": 9090, "alertmanager": 9093}
    assert all(one["url"].startswith("https://") for one in said["addresses"])
    assert "127.0.0.1:9090:127.0.0.1:9090" in said["tunnel"]


def test_a_tunnel_brings_it_to_this_machine(site: Site) -> None:
    context = ssl.create_default_context(cadata=ok(site.run("staging tls ca")).stdout)
    running = start(site.project, "staging monitoring open --tunnel")

    def ready() -> bool:
        with urllib.request.urlopen(f"https://localhost:{PROMETHEUS}/-/ready", timeout=3, context=context) as answer:
            return bool(answer.status == 200)

    eventually("Prometheus answers here", ready, 30)
    running.signal(signal.SIGINT, group=True)
    ok(running.end())


def test_what_has_no_login_answers_to_the_environments_own_hosts_only(site: Site) -> None:
    assert refused(site, PROMETHEUS)
    assert refused(site, ALERTMANAGER)
    assert not refused(site, 3000), "others answer to everybody"
    assert ask(site, "/api/v2/status", port=ALERTMANAGER)["config"]


def test_an_image_that_cannot_be_had_changes_nothing(site: Site) -> None:
    with untouched(site):
        done = ok(site.run("staging monitoring --plain", "monitoring.parts.cadvisor.enabled=true"), 1)
    for word in ("ghcr.io/google/cadvisor:0.60.5", "images.archives", "docker load", "docker login"):
        assert word in done.stdout + done.stderr


def test_a_broken_service_is_told_in_its_time_and_again_when_it_is_well(site: Site, webhook: Webhook) -> None:
    firing = eventually("the webhook is told", lambda: webhook.about("ServiceDown", "firing"), 150)
    (labels,) = {json.dumps(one["labels"], sort_keys=True) for one in firing}
    assert json.loads(labels)["service"] == BROKEN
    assert BROKEN in firing[0]["annotations"]["summary"]
    assert firing[0]["annotations"]["runbook_url"].endswith("/ServiceDown.md")
    site.lab["head"].docker(["service", "scale", "--detach", f"{BROKEN}=1"])
    eventually("it is told that it is over", lambda: webhook.about("ServiceDown", "resolved"), 150)


def test_a_bad_update_is_taken_back_by_what_its_metrics_say(site: Site) -> None:
    """It is healthy and answers; every other of its answers is an error."""
    context = ssl.create_default_context(cadata=ok(site.run("staging tls ca")).stdout)
    before = tasks(docker_on(site.lab["head"]))
    with Traffic(site.lab["head"].ip, 3000, path="/", tls=context) as traffic:
        traffic.flows()
        bad = f"services.{WORSE}.environment.DEMO_ERRORS=0.5"
        done = ok(site.run(f"staging update {WORSE} --json", bad), 6)
        assert "error ratio" in done.envelope["errors"][0]["message"]
        traffic.flows()
    after = tasks(docker_on(site.lab["head"]))
    assert {name for name in after if after[name] != before[name]} == {WORSE}
    silences = [one for one in ask(site, "/api/v2/silences", port=ALERTMANAGER) if "update" in one["comment"]]
    assert [one["status"]["state"] for one in silences] == ["expired"]
    assert [one["value"] for one in silences[0]["matchers"] if one["name"] == "service"] == [f"^({WORSE})$"]


def test_another_setting_reaches_a_running_prometheus_which_keeps_its_data(site: Site) -> None:
    moment = time.time()
    site.project.set("staging", "monitoring.alerts.latency", "7s")
    site.project.set("staging", "monitoring.retention", {"metrics": "3d", "size": "64MB"})
    changed = ok(site.run("staging deploy --json")).data["release"]["changed"]
    assert changed == ["prometheus"]
    rules = json.dumps(ask(site, "/api/v1/rules", {"type": "alert"}))
    assert "service:latency_seconds:p95_5m > 7" in rules
    flags = ask(site, "/api/v1/status/flags")["data"]
    assert (flags["storage.tsdb.retention.time"], flags["storage.tsdb.retention.size"]) == ("3d", "64MiB")
    assert values(site, 'up{job="prometheus"}', time=f"{moment:.3f}"), "what it saw before"


def test_its_data_survives_a_reboot_of_its_host(site: Site) -> None:
    moment = time.time()
    site.lab[HOME].kill()
    site.lab[HOME].start()
    eventually("it answers again", lambda: values(site, 'up{job="prometheus"} == 1'), 120)
    assert values(site, 'up{job="prometheus"}', time=f"{moment:.3f}") == {"prometheus": 1.0}


def test_it_goes_and_its_data_stays_until_somebody_says_so(site: Site) -> None:
    def volumes() -> set[str]:
        return set(site.lab[HOME].docker("volume ls --quiet").stdout.split()) & VOLUMES

    before = tasks(docker_on(site.lab["head"]))
    ok(site.run("staging monitoring --remove --plain"))
    after = tasks(docker_on(site.lab["head"]))
    assert set(before) - set(after) == set(programs.PARTS)
    assert {name: after[name] for name in SERVICES} == {name: before[name] for name in SERVICES}
    assert volumes() == VOLUMES
    ok(site.run("staging monitoring --remove --data --yes --plain"))
    assert volumes() == set()
    assert ok(site.run("staging deploy --json")).data["verdict"] == "unchanged", "and it stays away"
    planned = ok(site.run("staging plan --json", "monitoring.enabled=true"), 10).data["services"]
    created = {one["name"] for one in planned if one["action"] == "create"}
    assert created == set(programs.PARTS), "where the files switch it on it is part of every deploy"
