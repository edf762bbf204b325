"""How hosts are reached, and what is said when they are not."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from llmdeploy.cluster.access import Access, access
from llmdeploy.cluster.remote import explain, on_all, run, run_script
from llmdeploy.config import Host
from llmdeploy.errors import LlmdeployError, UnreachableError


def host(**values: Any) -> Host:
    base: dict[str, Any] = {
        "name": "web", "address": "192.0.2.1", "user": "deploy", "port": None,
        "local": False, "groups": (), "variables": {},
    }  # fmt: skip
    return Host(**{**base, **values})


LOCAL = Access("here", "127.0.0.1", (), become=False)


def test_the_inventory_decides_the_command_line() -> None:
    variables = {"ansible_ssh_private_key_file": "/k/id", "ansible_ssh_common_args": "-o ProxyJump=ana@jump -C"}
    reached = access(host(port=2222, variables=variables), Path("/run/cm"))
    line = reached.command(["docker", "ps", "two words"])
    assert line[-2:] == ["192.0.2.1", "sudo -n docker ps 'two words'"]
    for part in ("ControlPath=/run/cm/%C", "BatchMode=yes", "ProxyJump=ana@jump", "-C", "/k/id", "2222", "deploy"):
        assert part in line
    assert reached.tried == "deploy@192.0.2.1 port 2222 with key /k/id"


def test_host_keys_are_checked_whatever_the_inventory_says() -> None:
    """Of an option that is given twice, ssh takes the first."""
    careless = {"ansible_ssh_common_args": "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null"}
    line = access(host(variables=careless), Path("/c"), known_hosts=Path("/my project/100%")).ssh
    done = subprocess.run([*line[:-1], "-G", line[-1]], capture_output=True, text=True, check=True, timeout=10)
    assert "stricthostkeychecking true" in done.stdout
    assert "userknownhostsfile /my project/100% " in done.stdout


@pytest.mark.parametrize(
    ("user", "variables", "become"),
    [
        ("root", {}, False),
        ("deploy", {}, True),
        ("deploy", {"ansible_become": False}, False),
        ("root", {"ansible_become": "yes"}, True),
    ],
)
def test_only_root_needs_no_sudo(user: str, variables: dict[str, Any], become: bool) -> None:
    assert access(host(user=user, variables=variables), Path("/c")).become is become


def test_a_password_goes_through_standard_input_only() -> None:
    reached = access(host(), Path("/c"), become_password="s3cret")
    assert "s3cret" not in " ".join(reached.command(["true"]))
    assert reached.prefix().startswith(b"s3cret\n")


def test_a_password_that_sudo_does_not_ask_for_does_not_reach_the_command(tmp_path: Path, monkeypatch: Any) -> None:
    sudo = tmp_path / "sudo"
    sudo.write_text('#!/bin/sh\nshift 3\nexec "$@"\n')  # as with NOPASSWD: it asks nothing
    sudo.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    here = Access("here", "127.0.0.1", (), become=True, become_password="s3cret")
    assert run_script(here, "print(6 * 7)").strip() == "42"


@pytest.mark.parametrize(
    ("stderr", "words"),
    [
        ("deploy@192.0.2.1: Permission denied (publickey).", "the host refused our key"),
        ("Host key verification failed.", "host key is not known"),
        ("WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!\nHost key verification failed.", "host key has changed"),
        ("ssh: connect to host 192.0.2.1 port 22: Connection refused", "connection refused"),
        ("ssh: connect to host 192.0.2.1 port 22: Connection timed out", "no answer"),
        ("ssh: Could not resolve hostname nix: Name or service not known", "the name is unknown"),
        ("sudo: a password is required", "sudo asks for a password"),
    ],
)
def test_an_unreachable_host_is_named_with_what_was_tried(stderr: str, words: str) -> None:
    error = explain(access(host(), Path("/c")), 255, stderr)
    assert isinstance(error, UnreachableError)
    assert "web" in error.message
    assert words in error.message
    assert "deploy@192.0.2.1" in error.message


def test_a_failing_command_is_no_connection_problem() -> None:
    error = explain(LOCAL, 2, "something\nno such file\n")
    assert type(error) is LlmdeployError
    assert error.message == "here: no such file"


def test_scripts_run_over_standard_input() -> None:
    assert run_script(LOCAL, "print(6 * 7)").strip() == "42"


def test_a_command_that_does_not_end_is_ended() -> None:
    with pytest.raises(UnreachableError, match=r"here did not answer within 0\.5 s"):
        run(LOCAL, ["sleep", "30"], timeout=0.5)


def test_one_bad_host_does_not_hide_the_others() -> None:
    def work(one: Access) -> str:
        if one.host == "bad":
            raise UnreachableError("bad is away")
        return "fine"

    results = on_all([LOCAL, Access("bad", "127.0.0.1", (), become=False)], work)
    assert results["here"] == "fine"
    assert isinstance(results["bad"], UnreachableError)
