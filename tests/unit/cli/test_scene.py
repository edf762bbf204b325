"""What is made of a quick look at the hosts: who carries it out, what has to be copied, what cannot run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, cast

import pytest

from llmdeploy.cli.connection import Connection
from llmdeploy.cli.ending import addresses
from llmdeploy.cli.scene import Scene, last_good
from llmdeploy.cluster.access import Access
from llmdeploy.cluster.history import Entry
from llmdeploy.cluster.presence import Presence
from llmdeploy.config import Host, Inventory, Outline, load, outline_of
from llmdeploy.errors import LlmdeployError, UnreachableError
from llmdeploy.project import Project
from llmdeploy.render.manifest import Deliveries, render_manifest

HOSTS = {"head": ("head",), "tail-1": ("tail",), "tail-2": ("tail",), "ui": ("ui",)}
SERVICES = {
    "go": {"image": "app:1", "group": "head"},
    "billing": {"image": "app:1", "group": "tail"},
    "store": {"image": "store:1", "group": "tail"},
    "dashboard": {"image": "app:1", "group": "ui"},
}
PINS = {"app:1": "sha256:a", "store:1": "docker.io/team/store@sha256:5"}


def node(host: str, *groups: str, manager: str = "", address: str = "10.0.0.1") -> dict[str, Any]:
    return {
        "ID": f"n-{host}",
        "Spec": {"Labels": {f"group.{name}": "yes" for name in groups}},
        "Status": {"State": "ready", "Addr": address},
        **({"ManagerStatus": {"Addr": manager}} if manager else {}),
    }


def scene(images: dict[str, set[str]], edges: tuple[str, ...] = ("head",), **away: LlmdeployError) -> Scene:
    """Four hosts, head the manager; `images` of those that answer, and why others do not."""
    names = {name.replace("_", "-"): error for name, error in away.items()}
    hosts = tuple(
        Host(name, f"10.0.0.{number}", groups=groups) for number, (name, groups) in enumerate(HOSTS.items(), 1)
    )
    outline = Outline("dev", Project(Path()), Inventory(hosts, {}, "dev.ini"), None, None, "", confirm=False)
    accesses = {name: Access(name, name, ("ssh", name), become=False) for name in images}
    nodes = [
        node(
            name, *HOSTS[name], *(["edge"] if name in edges else []), manager="10.9.9.9:2377" if name == "head" else ""
        )
        for name in HOSTS
    ]
    present = {name: Presence(f"n-{name}", name == "head", frozenset(found)) for name, found in images.items()}
    connection = Connection(outline, Path(), accesses, first="head")
    return Scene(connection, present, names, cast("Any", None), nodes, "llm", [])


ALL = {"sha256:a"}


def test_every_host_of_a_group_is_given_what_it_lacks_from_one_that_has_it() -> None:
    found, lost = scene({"head": ALL, "tail-1": set(), "tail-2": ALL, "ui": set()}).deliveries(SERVICES, PINS)
    assert (found, lost) == (Deliveries({"tail-1": {"sha256:a"}, "ui": {"sha256:a"}}, {"sha256:a": "head"}), [])


def test_the_manager_need_not_have_it() -> None:
    found, lost = scene({"head": set(), "tail-1": ALL, "tail-2": set(), "ui": ALL}).deliveries(SERVICES, PINS)
    assert found.sources == {"sha256:a": "tail-1"}
    assert set(found.lacking) == {"head", "tail-2"}
    assert not lost


def test_what_nobody_has_is_told_and_nothing_is_copied() -> None:
    found, lost = scene({name: set() for name in HOSTS}).deliveries(SERVICES, PINS)
    assert (found, lost) == (Deliveries({}, {}), ["go", "billing", "dashboard"])


def test_a_host_that_is_down_is_named_with_what_runs_nowhere_else() -> None:
    gone, refused = UnreachableError("ui: no answer (tried ui)", hint="is it up?"), LlmdeployError("tail-1: no Docker")
    found = scene({"head": ALL, "tail-2": ALL}, ui=gone, tail_1=refused)
    texts = {one["host"]: one["message"] for one in found.absences(SERVICES)}
    assert texts == {
        "ui": "does not answer: what is placed there alone cannot run (dashboard)",
        "tail-1": "no Docker: what is placed there alone cannot run",
    }
    assert {one["level"] for one in found.absences(SERVICES)} == {"warning"}
    assert found.deliveries(SERVICES, PINS)[1] == [], "a host that is down is given nothing"


@pytest.mark.parametrize(
    ("edges", "address"), [(("head", "ui"), "127.0.0.1"), (("tail-1", "ui"), "10.0.0.1"), ((), "127.0.0.1")]
)
def test_published_ports_are_asked_where_an_edge_runs(edges: tuple[str, ...], address: str) -> None:
    assert scene(dict.fromkeys(HOSTS, ALL), edges).edge_host == address


def entry(number: int, **labels: str) -> Entry:
    return Entry(number, labels, {})


def test_a_stack_is_built_upon_the_release_it_is_on() -> None:
    found = [entry(4, verdict="rolled back"), entry(3, verdict="good", target="1"), entry(2, verdict="good")]
    assert last_good([*found, entry(1, verdict="good")], "dev").number == 1
    assert last_good(found, "dev").number == 3, "a rollback has all of it, where its target has left the history"
    with pytest.raises(LlmdeployError, match="no good release yet"):
        last_good([entry(1, verdict="failed")], "dev")


def test_the_run_directory_of_a_manifest_names_images_by_their_pins(tmp_path: Path) -> None:
    found = scene({"head": ALL, "tail-1": set(), "tail-2": ALL, "ui": ALL})
    deliveries, _ = found.deliveries(SERVICES, PINS)
    job = {"stack": "llm", "environment": "dev", "id": "x"}
    hosts = found.connection.outline.inventory.hosts
    run = render_manifest(tmp_path, job, PINS, hosts, found.connection.reach(), manager="head", deliveries=deliveries)
    inventory = json.loads(run.inventory.read_text())["all"]
    assert {name: list(group["hosts"]) for name, group in inventory["children"].items()} == {
        "llmdeploy_takers": ["tail-1"],
        "llmdeploy_manager": ["head"],
    }
    assert run.variables["llmdeploy_images"] == [{"ref": "sha256:a", "kind": "kept", "hosts": ["tail-1"]}]
    assert run.variables["llmdeploy_decided"]["images"]["pins"] == PINS
    assert json.loads((tmp_path / "job.json").read_text()) == job


def test_where_to_look_is_left_out_when_no_edge_can_be_reached(project: Path) -> None:
    """A rollback with the first manager down has ended well all the same."""
    env = load(Project(project), "staging")
    reached = Connection(outline_of(env), project, {"far": Access("far", "192.0.2.1", ("ssh", "far"), become=False)})
    assert addresses(reached) == [{"service": "web", "url": "http://192.0.2.1:18999"}]
    assert addresses(reached.only([], "other")) == []
    assert addresses(scene({"head": ALL}).connection) == [], "nor where no settings can be read"
