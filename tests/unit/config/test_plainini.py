"""Plain inventories mean the same to us as to Ansible, and what is not plain is left to it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from llmdeploy.config.parser import parse
from llmdeploy.config.plainini import parse_plain

from .conftest import INVENTORY, Maker

NAMES = st.sampled_from(["a", "b-1", "c.example", "host1", "localhost", "10.0.0.7"])
GROUPS = st.sampled_from(["head", "model-proxy", "tail", "ui", "z", "Edge"])
KEYS = st.sampled_from(["ansible_host", "ansible_port", "ansible_user", "llmdeploy_manager", "ansible_become", "other"])
VALUES = st.sampled_from(
    ["10.0.0.1", "22", "true", "True", "None", "1.10", "1_0", "07", "1e3", "deploy", "-1", "+5", "~", "a@b", "", "1,2",
     "a,b", "/k/id_ed25519", "1or2", "1j", "2001:db8::1", "a:b"]
)  # fmt: skip
PAIRS = st.lists(st.tuples(KEYS, VALUES), max_size=3).map(
    lambda pairs: " ".join(f"{key}={value}" for key, value in pairs)
)
HOSTS = st.lists(st.tuples(NAMES, PAIRS).map(" ".join), max_size=3)
SPACED = st.one_of(VALUES, st.just("-o UserKnownHostsFile=/k/known -o IdentitiesOnly=yes"), st.just("1 2"))
VARS = st.lists(st.tuples(KEYS, SPACED).map(" = ".join), max_size=3)


@st.composite
def inventories(draw: st.DrawFn) -> str:
    lines = draw(HOSTS)
    groups = draw(st.lists(GROUPS, min_size=1, max_size=4))
    for group in groups:
        lines += ["# a comment", f"[{group}]", *draw(HOSTS), ""]
    for group in draw(st.lists(st.sampled_from([*groups, "all", "nobody"]), max_size=2)):
        lines += [f"[{group}:vars]", *draw(VARS)]
    return "\n".join([*lines, "; the end"])


@given(inventories())
@example("[head]\nh ansible_host=1\n[all:vars]\nansible_ssh_common_args=-o A=/x -o B=yes\n")
@hypothesis_settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_it_is_what_ansible_says(tmp_path: Path, text: str) -> None:
    path, catalogue = tmp_path / "dev.ini", tmp_path / "group_vars" / "all.yml"
    path.write_text(text)
    ours = parse_plain(text, path, catalogue)
    if ours is None:
        return
    theirs = parse(path, "dev.ini", catalogue)
    assert ours.hosts == theirs.hosts
    assert [[type(value) for value in host.variables.values()] for host in ours.hosts] == [
        [type(value) for value in host.variables.values()] for host in theirs.hosts
    ]
    assert {name: set(members) for name, members in ours.groups.items()} == {
        name: set(members) for name, members in theirs.groups.items()
    }
    assert not theirs.problems


@pytest.mark.parametrize(
    "text",
    [
        INVENTORY,
        "[a]\nx ansible_host=10.0.0.1 ansible_user=deploy ansible_port=22\n\n[all:vars]\nansible_user = root\n",
        "x\n[a]\nx\ny\n[b]\nx\n[a:vars]\nllmdeploy_manager=true\n",
    ],
)
def test_the_usual_is_plain(maker: Maker, text: str) -> None:
    path = maker.write("inventory/dev.ini", text)
    ours = parse_plain(text, path, maker.project.catalogue)
    theirs = parse(path, "inventory/dev.ini", maker.project.catalogue)
    assert ours is not None
    assert (ours.hosts, ours.groups) == (theirs.hosts, theirs.groups)


@pytest.mark.parametrize(
    "text",
    [
        "[a]\nweb[1:3]\n", "[a]\nx:2222\n", "[a]\nx ansible_user='me'\n", "[a]\nx ansible_host={{ y }}\n",
        "[a]\nx # why\n", "[a]\nx\n[a:vars]\nansible_ssh_args=-o\tA\\ B\n",
        "[a:children]\nb\n[b]\nx\n", "[all]\nx\n", "[a]\nx y\n", "[a\nx\n", "[a:vars]\nb=1\n", "[a]\na\n", "[ä]\nx\n",
        "[a]\nx ansible_host=1,2\n", "[a]\nx\n[a:vars]\nansible_group_priority=5\n",
    ],
)  # fmt: skip
def test_everything_else_is_for_ansible(tmp_path: Path, text: str) -> None:
    assert parse_plain(text, tmp_path / "dev.ini", tmp_path / "group_vars" / "all.yml") is None


def test_variables_beside_the_inventory_are_for_ansible(maker: Maker) -> None:
    path, catalogue = maker.project.inventory_file("dev"), maker.project.catalogue
    assert parse_plain(INVENTORY, path, catalogue)
    maker.catalogue("ansible_user: root\n")
    assert parse_plain(INVENTORY, path, catalogue) is None
    maker.catalogue("")
    for name in ("host_vars/host1.yml", "group_vars/one", "group_vars/all.json"):
        file = maker.write(f"inventory/{name}", "")
        assert parse_plain(INVENTORY, path, catalogue) is None
        file.unlink()
    catalogue.unlink()
    assert parse_plain(INVENTORY, path, catalogue)
    assert parse_plain("all: {}", path.with_suffix(".yml"), catalogue) is None
