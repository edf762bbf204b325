"""The keys of hosts: read, compared, recorded."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from llmdeploy.cluster.hostkeys import HostKey, parse, record, recorded, state

KEY = HostKey("10.0.0.4", "ssh-ed25519", "AAAAC3Nz")
OTHER = HostKey("10.0.0.4", "ssh-ed25519", "AAAAC3Nx")
PORT = HostKey("[10.0.0.4]:2222", "ssh-ed25519", "AAAAC3Nz")


def test_what_a_file_of_known_hosts_holds() -> None:
    text = """
# by hand
10.0.0.4 ssh-ed25519 AAAAC3Nz root@a
[10.0.0.4]:2222,web ssh-rsa AAAAB3
|1|x|y= ssh-ed25519 AAAAC3Nz
@cert-authority *.x ssh-ed25519 AAAAC3Nz
half
"""
    web = [HostKey(name, "ssh-rsa", "AAAAB3") for name in ("[10.0.0.4]:2222", "web")]
    assert parse(text) == [KEY, *web]


@pytest.mark.parametrize(
    ("offered", "known", "expected"),
    [
        (KEY, [], "new"),
        (KEY, [PORT], "new"),
        (KEY, [KEY], "known"),
        (KEY, [OTHER], "changed"),
        (KEY, [OTHER, KEY], "known"),
        (KEY, [HostKey("10.0.0.4", "ssh-rsa", "AAAAB3")], "changed"),  # else anybody could offer another kind
    ],
)
def test_new_known_or_changed(offered: HostKey, known: list[HostKey], expected: str) -> None:
    assert state(offered, known) == expected


def test_the_fingerprint_is_the_one_that_people_compare(tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "key"], check=True, timeout=30)
    kind, key, *_ = (tmp_path / "key.pub").read_text().split()
    listed = subprocess.run(
        ["ssh-keygen", "-lf", tmp_path / "key.pub"], capture_output=True, text=True, check=True, timeout=30
    )
    assert HostKey("a", kind, key).fingerprint == listed.stdout.split()[1]


def test_recorded_in_the_place_of_the_old_one_and_nothing_else_is_touched(tmp_path: Path) -> None:
    file = tmp_path / "dev.known_hosts"
    record(file, [OTHER, PORT])
    assert recorded(file) == [OTHER, PORT]
    file.write_text(f"# ours\n{file.read_text()}")
    record(file, [KEY])
    assert file.read_text() == f"# ours\n{PORT}\n{KEY}\n"
    assert file.stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.iterdir()] == [file.name]
