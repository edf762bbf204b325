"""Releases that build on each other: history, update, scale, and back again, also where little is left to go by.

One small stack; the tests follow one another, each from the release that the one before has left.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import MakeImages, MakeProject
from tests.e2e.runs import docker_on, services
from tests.e2e.small import HOSTS, Site, make_site
from tests.e2e.stack import Result, eventually, ok
from tests.lab.fixtures import LabFactory

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def site(lab_factory: LabFactory, make_project: MakeProject, make_images: MakeImages) -> Iterator[Site]:
    """Two hosts with three good releases, ROUND 1 to 3 of billing and of the dashboard."""
    lab = lab_factory(HOSTS)
    site = make_site(lab, make_project, make_images)
    for number in (1, 2, 3):
        for service in ("billing", "user-dashboard"):
            site.project.set("staging", f"services.{service}.environment.ROUND", number)
        ok(site.run(f"staging deploy --json --message 'round {number}'"))
    yield site
    lab.down()


def rounds(site: Site) -> dict[str, str]:
    """Service → the ROUND that it runs with."""
    found = services(docker_on(site.lab["head"]))
    envs = {name: one["Spec"]["TaskTemplate"]["ContainerSpec"].get("Env") or [] for name, one in found.items()}
    return {name: text[6:] for name, env in envs.items() for text in env if text.startswith("ROUND=")}


def releases(site: Site) -> list[dict[str, str]]:
    """The labels of all releases, the oldest first."""
    head = site.lab["head"]
    names = [name for name in head.docker("config ls --format {{.Name}}").stdout.split() if ".release." in name]
    found = [one["Spec"]["Labels"] for one in json.loads(head.docker(["config", "inspect", *names]).stdout)]
    return sorted(found, key=lambda labels: int(labels["number"]))


def newest(site: Site) -> dict[str, str]:
    return releases(site)[-1]


def quick(result: Result) -> Result:
    """Apart from what this machine needs; a rollback has no time to look around."""
    assert result.seconds < 60, result
    return result


def test_a_rollback_goes_to_the_last_good_release(site: Site) -> None:
    assert rounds(site) == {"billing": "3", "user-dashboard": "3"}
    done = quick(ok(site.run("staging rollback --json --message 'it is slow'")))
    assert rounds(site) == {"billing": "2", "user-dashboard": "2"}
    assert done.data["verdict"] == "done"
    assert sorted(done.data["release"]["changed"]) == ["billing", "user-dashboard"]
    labels = newest(site)
    assert (labels["action"], labels["target"], labels["verdict"]) == ("rollback", "2", "good")
    assert labels["reason"] == "it is slow"


def test_a_second_one_goes_further_back_without_settings_and_catalogue(site: Site) -> None:
    root = site.project.root
    kept = {path: path.read_bytes() for path in (root / "environments").glob("*.yml")}
    catalogue = root / "inventory" / "group_vars" / "all.yml"
    kept[catalogue] = catalogue.read_bytes()
    shutil.rmtree(root / "environments")
    catalogue.unlink()
    try:
        quick(ok(site.run("staging rollback --plain --yes")))
        assert rounds(site) == {"billing": "1", "user-dashboard": "1"}
        assert newest(site)["target"] == "1"
        refused = ok(site.run("staging rollback --yes"), 1)
        assert "no earlier good release of staging" in refused.stderr
        assert "on release 1" in refused.stderr
        assert ok(site.run("staging deploy"), 3)
    finally:
        (root / "environments").mkdir()
        for path, text in kept.items():
            path.write_bytes(text)


def test_a_rollback_to_a_number_and_to_where_it_is(site: Site) -> None:
    ok(site.run("staging rollback 3 --json"))
    assert rounds(site) == {"billing": "3", "user-dashboard": "3"}
    assert newest(site)["target"] == "3"
    before = len(releases(site))
    same = ok(site.run("staging rollback 3 --json"))
    assert same.data["verdict"] == "unchanged"
    assert len(releases(site)) == before
    refused = ok(site.run("staging rollback 99"), 1)
    assert "there is no release 99" in refused.stderr


def test_an_update_of_one_service_leaves_the_others(site: Site) -> None:
    for service in ("billing", "user-dashboard"):
        site.project.set("staging", f"services.{service}.environment.ROUND", 4)
    done = ok(site.run("staging update billing --json"))
    assert done.data["release"]["changed"] == ["billing"]
    assert rounds(site) == {"billing": "4", "user-dashboard": "3"}
    assert newest(site)["action"] == "update"
    refused = ok(site.run("staging update biling"), 2)
    assert "did you mean `billing`" in refused.stderr
    again = ok(site.run("staging update billing --json"))
    assert again.data["verdict"] == "unchanged"


def test_another_image_until_the_next_deploy(site: Site) -> None:
    """On the manager only: the host that needs it is given it."""
    head, ref = site.lab["head"], "example.invalid/billing:hotfix"
    head.exec(f"printf 'FROM {site.images[1]}\nENV HOTFIX=1\n' | DOCKER_BUILDKIT=0 docker build --quiet --tag {ref} -")
    done = ok(site.run(f"staging update --image billing={ref} --plain"))
    assert "the next deploy goes back" in done.stdout
    assert running(site) == head.docker(["image", "inspect", "--format", "{{.Id}}", ref]).stdout.strip()
    assert rounds(site) == {"billing": "4", "user-dashboard": "3"}


def test_an_image_that_does_not_work_is_taken_back(site: Site) -> None:
    for host in site.lab:
        host.docker(
            ["tag", site.images[0], "example.invalid/billing:broken"]
        )  # the edge's: it has no configuration here
    failed = ok(site.run("staging update --image billing=example.invalid/billing:broken --json"), 6)
    (error,) = failed.envelope["errors"]
    assert "billing failed on tail-server: it crashed" in error["message"]
    assert "Everything is back on release " in error["message"]
    assert newest(site)["verdict"] == "rolled back"


def test_an_image_that_a_host_has_lost_is_copied_from_another(site: Site) -> None:
    """Called by its id: no host needs to know what the release called it."""
    hotfix, (head, tail) = int(newest(site)["number"]) - 1, site.lab
    ident = tail.docker("image inspect --format {{.Id}} example.invalid/billing:hotfix").stdout.strip()
    ok(site.run("staging rollback --plain"))
    lose = f"docker image rm --force {ident}; ! docker image inspect {ident}"  # refused while the old task lives
    eventually("the image is gone", lambda: tail.exec(lose, check=False).returncode == 0)
    head.exec("docker tag example.invalid/billing:hotfix kept && docker rmi example.invalid/billing:hotfix")
    done = ok(site.run(f"staging rollback {hotfix} --plain"))
    assert "Deliver the images that are missing" in done.stdout
    assert tail.docker(["image", "inspect", "--format", "{{.Config.Env}}", running(site)]).stdout.count("HOTFIX=1")


def running(site: Site) -> str:
    """The image that billing is pinned to."""
    return str(services(docker_on(site.lab["head"]))["billing"]["Spec"]["TaskTemplate"]["ContainerSpec"]["Image"])


def test_scale_and_back(site: Site) -> None:
    def count() -> int:
        return len(site.services()["billing"])

    ok(site.run("staging scale billing=2 --json"))
    assert count() == 2
    assert rounds(site)["user-dashboard"] == "3", "only the number has changed"
    refused = ok(site.run("staging scale edge=2"), 2)
    assert "edge is global" in refused.stderr
    ok(site.run("staging rollback --json"))
    eventually("one is left", lambda: count() == 1)


def test_a_worker_that_is_down_does_not_stop_a_rollback(site: Site) -> None:
    """Named, with what is placed there alone; the rest goes back."""
    site.project.set("staging", "services.user-dashboard.environment.ROUND", 5)
    ok(site.run("staging deploy --json"))
    tail = site.lab["tail"]
    tail.kill()
    try:
        partly = site.run("staging rollback --plain", "deadline=45s")
        assert partly.code in (0, 7), partly
        assert "tail-server does not answer: what is placed there alone cannot run (billing, rate-limiter)" in (
            partly.stdout
        )
        assert rounds(site)["user-dashboard"] == "3"
    finally:
        tail.start()
    eventually("it is back", lambda: "Down" not in site.lab["head"].docker("node ls --format {{.Status}}").stdout)


def test_abort_with_nothing_under_way(site: Site) -> None:
    said = ok(site.run("staging abort --plain"))
    assert "nothing is under way" in said.stdout
