"""What no kept release needs, and whose it is."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from llmdeploy import engine
from llmdeploy.engine import host, host_images, host_prune
from llmdeploy.engine.host_prune import needed, still_here, superfluous
from tests.unit.manifests import live, manifest, sha

MODULE = Path(__file__).parents[3] / "playbooks" / "library" / "llmdeploy_image.py"
DIGEST = sha("d")
WANTED = {
    "images": [sha("1"), f"docker.io/library/redis@{DIGEST}"],
    "repositories": ["docker.io/library/redis", "registry.example.com/app"],
}
BROUGHT = ["demo:1", sha("2"), "registry.example.com/old:3"]


def image(letter: str, *tags: str, digests: tuple[str, ...] = ()) -> dict[str, Any]:
    """As in Docker's list of images."""
    return {"Id": sha(letter), "RepoTags": list(tags) or None, "RepoDigests": list(digests) or None, "Size": 10}


@pytest.mark.parametrize(
    ("found", "goes"),
    [
        (image("9", "llmdeploy/demo:abc"), True),  # built, for a release that is forgotten or never was
        (image("1", "llmdeploy/demo:abc"), False),  # a kept release runs it
        (image("9", "docker.io/llmdeploy/demo:abc"), True),
        (image("9", "example.com/llmdeploy/demo:abc"), False),
        (image("9", "demo:1"), True),  # brought by us
        (image("9", "demo:2"), False),  # somebody else's, though of the same repository
        (image("9", "demo:1", "mine:keep"), False),  # somebody gave it a name of his own
        (image("9", "busybox:latest"), False),
        (image("2"), True),  # brought by us, its name has moved on
        (image("9"), False),  # nobody knows whose that was
        (image("9", "<none>:<none>", digests=("<none>@<none>",)), False),
        (image("9", digests=(f"redis@{sha('e')}",)), True),  # pulled by Docker for a service of ours
        (image("9", digests=(f"redis@{DIGEST}",)), False),  # and needed
        (image("9", "<none>:<none>", digests=(f"redis@{sha('e')}",)), True),
        (image("9", "redis:6", digests=(f"redis@{sha('e')}",)), False),  # pulled by somebody, by a name
        (image("9", digests=(f"postgres@{sha('e')}",)), False),
        (image("9", digests=(f"redis@{sha('e')}", f"postgres@{sha('e')}")), False),
        (image("9", digests=(f"registry.example.com/old@{sha('e')}",)), True),  # of a repository brought before
        (image("9", "llmdeploy/demo:abc", digests=(f"llmdeploy/demo@{sha('9')}",)), True),
    ],
)
def test_only_what_is_ours_and_not_needed_goes(found: dict[str, Any], goes: bool) -> None:
    assert [one["id"] for one in superfluous([found], [], WANTED, BROUGHT)] == ([found["Id"]] if goes else [])


def test_what_a_container_uses_stays_even_an_ended_one() -> None:
    containers = [{"ImageID": sha("9"), "State": "exited"}]
    assert superfluous([image("9", "llmdeploy/demo:abc")], containers, WANTED, []) == []


def test_what_goes_is_told_with_names_and_size() -> None:
    found = superfluous([image("9", "llmdeploy/demo:abc", digests=("llmdeploy/demo@x",))], [], WANTED, [])
    assert found == [{"id": sha("9"), "names": ["llmdeploy/demo:abc", "llmdeploy/demo@x"], "size": 10}]


def test_releases_of_all_stacks_and_all_live_services_are_needed() -> None:
    first, second = manifest(images="a", edge="e"), manifest(images="b", edge="f")
    second["job"]["stack"] = "other"
    second["pins"]["local:1"] = sha("7")
    web = second["job"]["services"]["web"]["spec"]["TaskTemplate"]["ContainerSpec"]
    web["Configs"] = [{"ConfigName": "other.settings", "ConfigID": "x"}]
    web["Secrets"] = [{"SecretName": "other.key.1", "SecretID": "x"}]
    stranger = {
        "Spec": {
            "TaskTemplate": {"ContainerSpec": {"Image": f"nginx@{sha('c')}", "Secrets": [{"SecretName": "theirs"}]}}
        }
    }
    runs = live(manifest(images="h", edge="g"), "edge")
    found = needed([first, second], [stranger, runs, {"Spec": {"TaskTemplate": {}}}])
    for name in ("library/redis", "library/haproxy"):
        assert {f"docker.io/{name}@{sha('a')}", f"docker.io/{name}@{sha('b')}"} <= set(found["images"])
    assert {sha("7"), f"docker.io/library/nginx@{sha('c')}", f"docker.io/library/haproxy@{sha('h')}"} <= set(
        found["images"]
    )
    assert found["configs"] == [
        f"llm.edge.{'e' * 12}", f"llm.edge.{'g' * 12}", f"other.edge.{'f' * 12}", "other.settings",
    ]  # fmt: skip
    assert found["secrets"] == ["other.key.1", "theirs"]
    assert "registry.example.com/web" in found["repositories"]
    assert "docker.io/library/nginx" not in found["repositories"]


def test_the_record_forgets_what_is_gone() -> None:
    brought = ["demo:1", "demo:1", "demo:2", sha("2"), sha("3"), f"redis@{DIGEST}"]
    images = [image("2", "demo:2"), image("8", digests=(f"redis@{DIGEST}",))]
    assert still_here(brought, images) == sorted(["demo:2", sha("2"), f"redis@{DIGEST}"])


# --- where a base image is made from (the module that brings images)

SOURCES = """\
# deb http://old.example.com/debian bookworm main
deb http://one.example.com/debian bookworm main contrib
deb http://two.example.com/debian bookworm-updates main
deb http://one.example.com/debian-security bookworm-security main
"""
DEB822 = """\
Types: deb
URIs: https://one.example.com/debian
Suites: bookworm bookworm-updates
"""


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    known: dict[str, ModuleType] = {"": engine, ".host": host, ".host_images": host_images, ".host_prune": host_prune}
    for name, known_module in known.items():
        monkeypatch.setitem(sys.modules, f"ansible.module_utils.engine{name}", known_module)
    spec = importlib.util.spec_from_file_location("llmdeploy_image", MODULE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def mirrors(module: ModuleType) -> Callable[[str, str], list[str]]:
    found: Callable[[str, str], list[str]] = module._mirrors
    return found


@pytest.mark.parametrize(("name", "text"), [("sources.list", SOURCES), ("sources.list.d/debian.sources", DEB822)])
def test_a_host_may_have_only_one_of_the_files_of_apt(module: ModuleType, tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "old.list.disabled").write_text("deb http://old.example.com/debian bookworm main\n")
    (tmp_path / name).write_text(text)
    assert "one.example.com/debian bookworm main" in module.mirrors("bookworm", tmp_path)[0]
    (tmp_path / name).unlink()
    assert module.mirrors("bookworm", tmp_path) == []


def test_packages_come_from_where_the_host_takes_its_own(mirrors: Callable[[str, str], list[str]]) -> None:
    assert mirrors(SOURCES, "trixie") == [
        "deb http://one.example.com/debian trixie main",
        "deb http://one.example.com/debian trixie-updates main",
        "deb http://one.example.com/debian-security trixie-security main",
    ]
    assert mirrors(DEB822, "bookworm")[0] == "deb https://one.example.com/debian bookworm main"
    assert len(mirrors(DEB822, "bookworm")) == 2


@pytest.mark.parametrize("text", ["", "deb http://archive.example.com/ubuntu jammy main", "# http://x/debian x"])
def test_where_a_host_names_no_place_the_tool_knows_some(mirrors: Callable[[str, str], list[str]], text: str) -> None:
    assert mirrors(text, "bookworm") == []
