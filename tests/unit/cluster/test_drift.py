"""How the edge's configuration differs, as the cluster has it."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from llmdeploy.cluster.drift import edge_change
from tests.unit.manifests import live, manifest

from .test_history import docker

Json = dict[str, Any]


def config(sha: str, text: str) -> Json:
    labels = {"llmdeploy.stack": "llm", "llmdeploy.kind": "edge"}
    data = base64.b64encode(text.encode()).decode()
    return {"ID": sha, "Spec": {"Name": f"llm.edge.{sha}", "Labels": labels, "Data": data}}


OLD = config("e" * 12, "global\n  maxconn 100\n# e\n")


@pytest.mark.parametrize(
    ("configs", "lines", "told"),
    [([OLD], True, ["@@ -2,2 +2,2 @@", "   maxconn 100", "-# e", "+# f"]), ([OLD], False, []), ([], True, [])],
    ids=["with its lines", "without", "the old one is gone"],
)
def test_another_configuration(configs: list[Json], lines: bool, told: list[str]) -> None:
    services = [live(manifest(), "edge"), live(manifest(), "web")]
    found = edge_change(docker(configs), services, manifest(edge="f")["job"], lines=lines)
    assert found == {"from": "e" * 12, "to": "f" * 12, "lines": told}


def test_the_same_configuration() -> None:
    assert edge_change(docker([OLD]), [live(manifest(), "edge")], manifest()["job"], lines=True) == {}


def test_the_first_configuration() -> None:
    found = edge_change(docker([]), [], manifest()["job"], lines=True)
    assert found == {"from": "", "to": "e" * 12, "lines": []}


def test_an_edge_of_somebody_else_tells_nothing() -> None:
    foreign = live(manifest(), "edge")
    foreign["Spec"]["Labels"]["llmdeploy.stack"] = "another"
    assert edge_change(docker([OLD]), [foreign], manifest(edge="f")["job"], lines=True)["from"] == ""
