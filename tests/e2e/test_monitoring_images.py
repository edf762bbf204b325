"""All of the monitoring, with the images of Grafana, Loki and Alloy, which no package of Debian has.

It runs where $LLMDEPLOY_TEST_IMAGES names a folder with grafana.tar, loki.tar and alloy.tar (docker save); a
cadvisor.tar there is used as well. The tests build on one another, in this order.
"""

from __future__ import annotations

import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llmdeploy.config.watching import EDGE_PORTS, GRAFANA_PASSWORD, PARTS
from llmdeploy.render.images import archive_images
from tests.e2e import programs
from tests.e2e.conftest import MakeImages, MakeProject
from tests.e2e.monitoring import grafana
from tests.e2e.monitoring.grafana import Grafana
from tests.e2e.monitoring.site import HOME, LOKI, MANAGER, PROMETHEUS, Watched, make_watched, settings
from tests.e2e.runs import docker_on, tasks
from tests.e2e.small import HOSTS
from tests.e2e.stack import SERVICES, eventually, ok
from tests.lab import Host
from tests.lab.fixtures import LabFactory

GIVEN = "LLMDEPLOY_TEST_IMAGES"
NEEDED, WELCOME = ("grafana", "loki", "alloy"), ("cadvisor",)
SOON = 15.0  # seconds from a line's writing until it is found


def _missing() -> str:
    """Why these tests cannot run, "" where they can."""
    folder = os.environ.get(GIVEN)
    if not folder:
        return f"{GIVEN} names no folder with grafana.tar, loki.tar and alloy.tar (docker save)"
    lacking = [f"{name}.tar" for name in NEEDED if not (Path(folder) / f"{name}.tar").is_file()]
    return f"{GIVEN}={folder} has no {', '.join(lacking)}" if lacking else ""


pytestmark = [
    pytest.mark.lab,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(bool(_missing()), reason=_missing() or "it runs"),
]


@pytest.fixture(scope="module")
def site(lab_factory: LabFactory, make_project: MakeProject, make_images: MakeImages) -> Iterator[Watched]:
    """Ten services with every part of the monitoring that there is an image for, as part of the first deploy."""
    lab = lab_factory(HOSTS)
    debian = {part: programs.image(part) for part in programs.PARTS}
    made = make_watched(lab, make_project, make_images, debian.values())
    archives = {name: path for name in (*NEEDED, *WELCOME) if (path := _archive(name, made.project.root))}
    parts: dict[str, dict[str, Any]] = {name: {"image": image, "memory": "256MB"} for name, image in debian.items()}
    parts |= {name: {"image": _image(path)} for name, path in archives.items()}
    parts |= {name: {"enabled": False} for name in PARTS if name not in parts}
    given = settings(parts, enabled=True)
    given["images"] = {"archives": [path.name for path in archives.values()]}
    made.project.settings("staging", given)
    ok(made.run("staging secrets init"))
    ok(made.run("staging deploy --plain"))
    yield made
    lab.down()


def _archive(name: str, root: Path) -> Path | None:
    """An archive of the folder in the project, where the files can name it; None where the folder has none."""
    given = Path(os.environ[GIVEN]) / f"{name}.tar"
    if not given.is_file():
        return None
    try:
        os.link(given, root / given.name)
    except OSError:  # another file system
        shutil.copyfile(given, root / given.name)
    return root / given.name


def _image(archive: Path) -> str:
    """The name of the one image in an archive."""
    name, *others = archive_images(archive)
    assert not others, f"{archive.name} has more than one image: {name}, {', '.join(others)}"
    return name


@pytest.fixture(scope="module")
def admin(site: Watched) -> Grafana:
    """Grafana, with the password that was made for it."""
    password = ok(site.run(f"staging secrets get {GRAFANA_PASSWORD}")).stdout.rstrip("\n")
    assert len(password) >= 16
    return Grafana(address(site), site.trusting, "admin", password)


def address(site: Watched) -> str:
    """Where people find Grafana, which asks who they are, so that it answers everybody."""
    return f"https://{site.lab[MANAGER].ip}:{EDGE_PORTS['grafana']}"


def loki(site: Watched, query: str) -> list[tuple[dict[str, str], str]]:
    """(labels, line) of everything that was written in the last quarter of an hour and is found by `query`."""
    now = time.time()
    span = {"start": f"{now - 900:.0f}000000000", "end": f"{now + 60:.0f}000000000", "limit": "200"}
    said = site.ask("/loki/api/v1/query_range", {"query": query, **span}, port=LOKI)
    assert said["status"] == "success", said
    return [(one["stream"], line) for one in said["data"]["result"] for _, line in one["values"]]


def write(host: Host, service: str, line: str) -> bool:
    """Write a line to what the container of `service` writes to, as its program does; False where it is not here."""
    found = host.docker(["ps", "--quiet", "--filter", f"label=com.docker.swarm.service.name={service}"]).stdout.split()
    for container in found[:1]:
        host.docker(["exec", "--env", f"LINE={line}", container, "sh", "-c", 'echo "$LINE" > /proc/1/fd/1'])
    return bool(found)


def test_every_part_runs(site: Watched) -> None:
    running = tasks(docker_on(site.lab[MANAGER]))
    wanted = {*programs.PARTS, *NEEDED}
    assert wanted <= {name for name, found in running.items() if found}
    assert set(running["alloy"].values()) == set(HOSTS), "logs are taken from every host"
    assert set(running["grafana"].values()) == set(running["loki"].values()) == {HOME}
    assert ok(site.run("staging deploy --json")).data["verdict"] == "unchanged"

    def up() -> bool:
        found = site.values('min by (job) (up{job=~"grafana|loki|alloy"})', "job")
        assert found == dict.fromkeys(NEEDED, 1.0)
        return True

    eventually("Prometheus sees them", up, 60)


def test_nobody_gets_in_without_the_password_that_was_made(site: Watched, admin: Grafana) -> None:
    nobody = Grafana(address(site), site.trusting)
    assert nobody.ask("/api/health").status == 200
    assert nobody.ask("/api/search").status == 401
    assert nobody.ask("/api/user/signup", {"email": "a@example.com"}).status in (401, 403, 404, 405)
    for user, password in (("admin", "admin"), ("admin", ""), ("grafana", admin.password)):
        assert not Grafana(address(site), site.trusting, user, password).logs_in()
    assert admin.logs_in()
    assert admin.get("/api/user")["login"] == "admin"
    assert site.refused(LOKI)
    assert site.refused(PROMETHEUS)


def test_every_data_source_is_well(site: Watched, admin: Grafana) -> None:
    sources = {one["uid"]: one for one in admin.get("/api/datasources")}
    assert set(sources) == {"prometheus", "loki", "alertmanager"}
    for uid in ("prometheus", "loki"):
        assert admin.get(f"/api/datasources/uid/{uid}/health")["status"] == "OK"
    # Only Grafana's pages know how to ask an Alertmanager whether it is well; they do it so.
    assert admin.get("/api/datasources/proxy/uid/alertmanager/api/v2/status")["versionInfo"]["version"]


def test_lines_of_every_service_are_found_soon(site: Watched) -> None:
    mark = uuid.uuid4().hex
    line = json.dumps({"level": "error", "msg": mark})
    began = time.monotonic()
    hosts = {service: {host.name for host in site.lab if write(host, service, line)} for service in SERVICES}
    assert all(hosts.values()), hosts

    def found() -> dict[str, dict[str, str]]:
        labels = {one["service"]: one for one, _ in loki(site, f'{{service=~".+"}} |= "{mark}"')}
        assert set(labels) == set(SERVICES), set(SERVICES) - set(labels)
        return labels

    labels = eventually("all lines are in Loki", found, SOON)
    assert time.monotonic() - began < SOON + 10.0  # writing them takes a moment
    for service, one in labels.items():
        assert (one["environment"], one["stack"], one["level"]) == ("staging", "llm", "error"), one
        assert one["node"] in hosts[service]
    (index,) = {frozenset(one) for one in site.ask("/loki/api/v1/series", _of("billing"), port=LOKI)["data"]}
    assert "task" not in index, "each release would begin new streams"


def _of(service: str) -> dict[str, str]:
    return {"match[]": f'{{service="{service}",level="error"}}', "start": f"{time.time() - 900:.0f}"}


def test_a_deploy_is_marked(site: Watched, admin: Grafana) -> None:
    ok(site.run("staging deploy --json -m marked-by-a-test", "services.billing.environment.MARKED=1"))

    def ended() -> list[dict[str, Any]]:
        lines = loki(site, '{job="llmdeploy",environment="staging",event="deploy"} |= "marked-by-a-test"')
        return [one for one in (json.loads(line) for _, line in lines) if one["state"] == "ended"]

    (line,) = eventually("the end of the deploy is in Loki", ended, SOON)
    assert (line["action"], line["result"], line["services"]) == ("deploy", "done", ["billing"])
    asked = [query for dashboard in admin.dashboards() for query in grafana.marks(dashboard)]
    assert asked
    assert any(grafana.rows(result) for query in asked for result in admin.run([query]).values()), "shown in graphs"


def test_every_panel_gets_an_answer(site: Watched, admin: Grafana) -> None:
    dashboards = admin.dashboards()
    assert "llmdeploy-overview" in {one["uid"] for one in dashboards}
    results = {str(query): admin.run(query.targets) for one in dashboards for query in grafana.queries(one)}
    errors = {
        panel: result["error"] for panel, found in results.items() for result in found.values() if result.get("error")
    }
    assert errors == {}
    assert len(results) > 30
    (overview,) = (one for one in dashboards if one["uid"] == "llmdeploy-overview")
    shown = {str(query): sum(map(grafana.rows, results[str(query)].values())) for query in grafana.queries(overview)}
    assert sum(1 for number in shown.values() if number) >= len(shown) / 2, shown
