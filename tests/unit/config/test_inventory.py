"""Inventories of all kinds, read by Ansible's own parsers; what they cannot be."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from llmdeploy.config import load
from llmdeploy.errors import ConfigError

from .conftest import Maker

ISSUE = """\
[head]
head-server ansible_host=head.example.com ansible_user=deploy
[model-proxy]
model-proxy-server ansible_host=model-proxy.example.com ansible_user=deploy
[tail]
tail-server ansible_host=tail.example.com ansible_user=deploy
[ui]
ui-server ansible_host=ui.example.com ansible_user=deploy
"""
INI = "inventory/dev.ini"
YML = "inventory/dev.yml"
STATIC = "(write the hosts down in an .ini or .yml inventory (ansible-inventory --list --yaml prints one))"


def yaml_inventory(maker: Maker, text: str) -> None:
    (maker.project.root / INI).unlink(missing_ok=True)
    maker.write(YML, text)


def test_the_sample_of_the_guide_is_read_in_silence(maker: Maker, capfd: pytest.CaptureFixture[str]) -> None:
    maker.inventory(ISSUE)
    maker.catalogue(
        "defaults: {image: demo}\nedge: {image: e}\nservices:\n  a: {group: model-proxy}\n  b: {group: head}\n"
    )
    inventory = maker.load().inventory
    assert [(host.name, host.address, host.user, host.port, host.local) for host in inventory.hosts] == [
        (f"{name}-server", f"{name}.example.com", "deploy", None, False)
        for name in ("head", "model-proxy", "tail", "ui")
    ]
    assert inventory.hosts[1].groups == ("model-proxy",)
    assert [host.name for host in inventory.in_group("model-proxy")] == ["model-proxy-server"]
    assert inventory.in_group("nobody") == ()
    assert inventory.file == INI
    assert tuple(capfd.readouterr()) == ("", "")


HOSTS: list[tuple[str, dict[str, Any]]] = [
    ("h", {"address": "h", "user": None, "port": None, "local": False, "groups": ("one",)}),
    ("h:2222", {"name": "h", "port": 2222}),
    ("h ansible_port=2222 ansible_user=bob", {"port": 2222, "user": "bob"}),
    ("h ansible_ssh_host=10.0.0.1 ansible_ssh_port=22 ansible_ssh_user=x", {"address": "10.0.0.1", "port": 22}),
    ("[2001:db8::1]:2222", {"address": "2001:db8::1", "port": 2222}),
    ("h ansible_connection=local", {"local": True}),
    ("h ansible_connection=ansible.builtin.local", {"local": True}),
    (
        "h ansible_ssh_private_key_file=~/.ssh/k ansible_ssh_common_args='-o ProxyJump=bastion'",
        {
            "variables": {
                "ansible_ssh_private_key_file": "~/.ssh/k",
                "ansible_ssh_common_args": "-o ProxyJump=bastion",
            }
        },
    ),
    ("h llmdeploy_manager=true other=1", {"variables": {"llmdeploy_manager": "true"}}),
    ("h llmdeploy_manager=True", {"variables": {"llmdeploy_manager": True}}),
    ('h ansible_host="{{ inventory_hostname }}.{{ domain }}" domain=ex.com', {"address": "h.ex.com"}),
    ("h ansible_python_interpreter='{{ later }}'", {"variables": {"ansible_python_interpreter": "{{ later }}"}}),
]


@pytest.mark.parametrize(("line", "expected"), HOSTS, ids=[case[0] for case in HOSTS])
def test_a_host(maker: Maker, line: str, expected: dict[str, Any]) -> None:
    maker.inventory(f"[one]\n{line}\n")
    (host,) = maker.load().inventory.hosts
    assert {key: getattr(host, key) for key in expected} == expected
    assert all(type(value) in (str, int, bool) for value in host.variables.values())


def test_ranges_children_and_group_variables(maker: Maker) -> None:
    maker.inventory(
        "[web]\nweb[01:03]\n[db]\ndb-[a:b] ansible_user=dba\n"
        "[one:children]\nweb\ndb\n[one:vars]\nansible_user=bob\nfoo=1\n"
    )
    inventory = maker.load().inventory
    assert [(host.name, host.user) for host in inventory.hosts] == [
        ("web01", "bob"),
        ("web02", "bob"),
        ("web03", "bob"),
        ("db-a", "dba"),
        ("db-b", "dba"),
    ]
    assert inventory.hosts[0].groups == ("one", "web")
    assert inventory.groups["one"] == ("web01", "web02", "web03", "db-a", "db-b")
    assert set(inventory.groups) == {"all", "ungrouped", "web", "db", "one"}


def test_a_group_and_a_host_of_one_name(maker: Maker, capfd: pytest.CaptureFixture[str]) -> None:
    maker.inventory("[one]\none ansible_host=10.0.0.1\n")
    assert [host.name for host in maker.load().inventory.in_group("one")] == ["one"]
    assert tuple(capfd.readouterr()) == ("", "")


def test_a_yaml_inventory(maker: Maker) -> None:
    yaml_inventory(
        maker,
        "all:\n  vars: {ansible_user: bob, data: {1: a}}\n  children:\n    one:\n      hosts:\n"
        "        h1: {ansible_host: 1.2.3.4, ansible_port: '2222', ansible_ssh_extra_args: !unsafe '{{ x'}\n"
        "        web[01:02]:\n    two:\n      hosts: h1\n",
    )
    inventory = maker.load().inventory
    assert [(host.name, host.address, host.port, host.user) for host in inventory.hosts] == [
        ("h1", "1.2.3.4", 2222, "bob"),
        ("web01", "web01", None, "bob"),
        ("web02", "web02", None, "bob"),
    ]
    assert inventory.groups["two"] == ("h1",)
    assert inventory.file == YML


def test_variables_beside_the_inventory(maker: Maker) -> None:
    maker.inventory("[one]\nh1\nh2\n[one:vars]\nansible_user=a\nansible_port=1\nllmdeploy_x=inventory\n")
    maker.write("inventory/group_vars/one.yml", "ansible_user: b\nansible_port: 2\nstack: not ours\n")
    maker.write("inventory/group_vars/two/x.yml", "ansible_user: never\n")
    maker.write("inventory/host_vars/h2.yml", "ansible_user: c\n")
    first, second = maker.load().inventory.hosts
    assert (first.user, first.port, second.user, second.port) == ("b", 2, "c", 2)
    assert first.variables == {"ansible_user": "b", "ansible_port": 2, "llmdeploy_x": "inventory"}


def test_the_same_precedence_as_ansibles_own_manager(maker: Maker) -> None:
    from ansible.inventory.manager import InventoryManager  # noqa: PLC0415
    from ansible.parsing.dataloader import DataLoader  # noqa: PLC0415
    from ansible.vars.manager import VariableManager  # noqa: PLC0415

    maker.inventory(
        "h0 ansible_a=host\n[one]\nh1 ansible_a=host\nh2\n[two]\nh1\nh2 ansible_b=host\n[three:children]\none\ntwo\n"
        "[all:vars]\nansible_a=all\nansible_b=all\nansible_c=all\nansible_d=all\nansible_e=all\n"
        "[one:vars]\nansible_b=one\nansible_c=one\n[two:vars]\nansible_c=two\nansible_d=two\n"
        "[three:vars]\nansible_d=three\nansible_f=three\n"
    )
    maker.write("inventory/group_vars/three.yml", "ansible_d: file three\nansible_g: {a: 1}\n")
    maker.write("inventory/group_vars/one", "ansible_e: file one\nansible_g: {b: 1}\n")
    maker.write("inventory/host_vars/h2/a.yaml", "ansible_f: file h2\n")
    path = str(maker.project.root / INI)
    loader = DataLoader()
    theirs = InventoryManager(loader=loader, sources=[path])
    manager = VariableManager(loader=loader, inventory=theirs)
    for host in maker.load().inventory.hosts:
        expected = manager.get_vars(host=theirs.get_host(host.name), include_hostvars=False)
        wanted = {key: value for key, value in expected.items() if key[:8] == "ansible_" and len(key) == 9}
        assert {key: value for key, value in host.variables.items() if len(key) == 9} == wanted


PROBLEMS: list[tuple[str, str]] = [
    ("", ": no host in it (write one line for each host under its [group])"),
    ("[one]\n", ": no host in it (write one line for each host under its [group])"),
    ("h\n[one]\n", ":2: one: the group has no host; needed by alpha, beta (write a host under it)"),
    ("[one]\nh ansible_port=abc\n", ":2: h.ansible_port = abc: must be a port number, 1 to 65535"),
    ("[one]\nh ansible_port=99999\n", ":2: h.ansible_port = 99999: must be a port number, 1 to 65535"),
    (
        "[one]\nh ansible_connection=dokcer\n",
        (
            ":2: h.ansible_connection = dokcer: hosts are reached by ssh or are local "
            "(write local, paramiko, paramiko_ssh, smart, ssh)"
        ),
    ),
    ("[one]\nh ansible_host=-oProxyCommand=x\n", ":2: h.ansible_host = -oProxyCommand=x: is not an address"),
    (
        "[one]\n\nh ansible_host='{{ nope }}'\n",
        ":3: h.ansible_host = {{ nope }}: its template cannot be filled in: 'nope' is undefined",
    ),
    (
        "[one]\nh\n[x y]\n",
        (
            ":3: Invalid section entry: '[x y]'. Please make sure that there are no spaces in the section entry, "
            "and that there are no other invalid characters"
        ),
    ),
    ("[one]\nh foo\n", ":2: Expected key=value host variable assignment, got: foo"),
    ('[one]\nh ansible_password="secret\n', ":2: No closing quotation"),
    ("[one]\nh\n[x:children]\nnope\n", ":4: Section [x:children] includes undefined group 'nope'."),
    ("[one]\nh\n[one:vars]\npassword: hunter2\n", ":4: Expected key=value, got: password: …"),
    (
        "[one]\nh\n[one:children]\ntwo\n[two:children]\none\n",
        ":6: Adding group 'one' as child to 'two' creates a recursive dependency loop.",
    ),
    ("[one]\nh[1:99999999]\n", ":2: stands for 99999999 hosts; at most 2000 are read"),
    ("[one]\nh[1:99][1:99]\n", ":2: stands for 9801 hosts; at most 2000 are read"),
    ("[one]\nh[1:\n", ":2: a range of hosts is not complete; write it as web[01:03]"),
    ("[one]\nh[1:9:0]\n", ":2: the step of a range must not be 0"),
    (
        "[one]\nh[01:1]\n",
        ":2: host range must specify equal-length begin and end formats",
    ),
    ("#!/bin/sh\necho hi\n", f":1: is a program; inventories are read, never run {STATIC}"),
]


@pytest.mark.parametrize(("text", "shown"), PROBLEMS, ids=[case[0][:40] for case in PROBLEMS])
def test_problems_of_ini_inventories(maker: Maker, text: str, shown: str) -> None:
    maker.inventory(text)
    assert maker.lines() == [INI + shown]


YAML_PROBLEMS: list[tuple[str, str]] = [
    ("", ": no host in it (name groups, and hosts in them)"),
    ("- a\n", ":1: the file must hold a mapping, `key: value` lines"),
    ("one: [\n", ":1: broken YAML: did not find expected node content"),
    ("one:\n  hosst: {h: }\n", ":2: one.hosst = {…}: unknown key in a group (did you mean `hosts`?)"),
    ("one: [a]\n", ":1: one = […]: a group must be a mapping with hosts, children or vars"),
    ("one:\n  hosts: [a, b]\n", ":2: one.hosts = […]: `hosts` must be a mapping, one `name:` line each"),
    ("one:\n  hosts:\n    a: 5\n", ":3: one.hosts.a = 5: variables of a host must be a mapping"),
    (
        "all:\n  children:\n    one:\n      hosts: {a: }\n      host: {b: }\n",
        ":5: all.children.one.host = {…}: unknown key in a group (did you mean `hosts`?)",
    ),
    ("one: {hosts: {a: }}\none: {hosts: {b: }}\n", ":2: one: the key is there twice, first on line 1"),
    ("1: {hosts: {a: }}\n", ":1 = 1: the key is not text (put the key in quotes)"),
    (
        "plugin: aws_ec2\n",
        f":1: configures an inventory plugin; only static inventories are read {STATIC}",
    ),
    (
        "one:\n  hosts:\n    h1:\n      ansible_become_password: !vault |\n        $ANSIBLE_VAULT;1.1;AES256\n",
        (
            ":3: h1.ansible_become_password: is encrypted with ansible-vault "
            "(keep vaulted values out of the inventory's variables)"
        ),
    ),
    ("one: " + "[" * 100_000, ":1: nested deeper than 50 levels"),
]


@pytest.mark.parametrize(("text", "shown"), YAML_PROBLEMS, ids=[case[0][:40] for case in YAML_PROBLEMS])
def test_problems_of_yaml_inventories(maker: Maker, text: str, shown: str) -> None:
    yaml_inventory(maker, text)
    assert maker.lines() == [YML + shown]


def test_several_problems_of_hosts_at_once(maker: Maker) -> None:
    maker.inventory("[one]\nh1 ansible_port=x\nh2 ansible_connection=winrm\n")
    assert [(problem.line, problem.path) for problem in maker.problems()] == [
        (2, "h1.ansible_port"),
        (3, "h2.ansible_connection"),
    ]


def test_two_inventories_of_one_environment(maker: Maker) -> None:
    maker.write(YML, "one: {hosts: {h: }}\n")
    assert maker.lines() == [f"{INI}: there is a second inventory: {YML} (keep one of them)"]


def test_broken_variables_beside_the_inventory(maker: Maker) -> None:
    maker.write("inventory/group_vars/one.yml", "a: 1\nb: [\n")
    (problem,) = maker.problems()
    assert problem.file == "inventory/group_vars/one.yml"
    assert problem.line in (2, 3)
    maker.write("inventory/group_vars/one.yml", "- a\n")
    assert maker.lines() == ["inventory/group_vars/one.yml:1: must be a mapping of variables"]


def test_a_vaulted_file_beside_the_inventory(maker: Maker) -> None:
    maker.write("inventory/group_vars/one.yml", "$ANSIBLE_VAULT;1.1;AES256\n6162\n")
    (problem,) = maker.problems()
    assert (problem.file, problem.hint) == (
        "inventory/group_vars/one.yml",
        "keep vaulted values out of the inventory's variables",
    )


def test_an_executable_inventory_is_read_and_never_run(maker: Maker) -> None:
    path = maker.write(INI, "[one]\nhost1\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    assert maker.load().inventory.hosts[0].name == "host1"


def test_a_relative_project_folder(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(maker.project.root)
    project = type(maker.project)(Path())
    assert load(project, "dev").inventory.hosts[0].name == "host1"


def test_an_ansible_cfg_that_renames_groups_changes_nothing(maker: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ansible.constants.TRANSFORM_INVALID_GROUP_CHARS", "always")
    maker.inventory("[one-two]\nh\n[one]\nh\n")
    assert "one-two" in maker.load().inventory.groups


@pytest.mark.parametrize(
    "variables",
    [
        "ansible_ssh_common_args='-o ProxyJump=ana@jump -C -o ProxyCommand=none'",
        "ansible_ssh_common_args='-J ana@jump:2222'",
        "ansible_ssh_extra_args='-o PermitLocalCommand=no'",
        "ansible_user=\"{{ lookup('env', 'USER') }}\"",
        "ansible_user=ana.b-c@example.com",
        "ansible_python_interpreter='/usr/bin/env python3'",
        "ansible_python_interpreter=auto_silent",
        "ansible_ssh_executable=/usr/bin/ssh",
        "ansible_become_flags='-H -S -n'",
    ],
)
def test_what_runs_nothing_here_is_allowed(maker: Maker, monkeypatch: pytest.MonkeyPatch, variables: str) -> None:
    monkeypatch.setenv("USER", "ana")
    maker.inventory(f"[one]\nh {variables}\n")
    assert maker.load().inventory.hosts[0].name == "h"


def test_what_would_run_a_program_here_says_where_it_belongs(maker: Maker) -> None:
    maker.inventory("[one]\nh ansible_ssh_common_args='-o ProxyCommand=\"nc jump %h\"'\n")
    (problem,) = maker.problems()
    assert (problem.file, problem.line, problem.path) == ("inventory/dev.ini", 2, "h.ansible_ssh_common_args")
    assert problem.why == "`ProxyCommand` runs a program on this machine"
    assert problem.hint == "put it into your own ~/.ssh/config"


def test_an_ansible_cfg_is_not_read(maker: Maker) -> None:
    maker.inventory("[one]\nhost[1:2]\n")  # a plain one needs no Ansible
    config = maker.write("ansible.cfg", "no section\n")
    code = "from pathlib import Path; from llmdeploy.project import Project; from llmdeploy.config import load\n"
    code += f"print(load(Project(Path({str(maker.project.root)!r})), 'dev').inventory.hosts[0].name)"
    environment = {**os.environ, "ANSIBLE_CONFIG": str(config)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "host1\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_inventory(maker: Maker) -> None:
    (maker.project.root / INI).chmod(0)
    with pytest.raises(ConfigError):
        maker.load()
