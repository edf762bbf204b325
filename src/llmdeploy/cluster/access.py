"""How a host is reached: the ssh command line that Ansible's host variables describe, and becoming root there."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llmdeploy.config import Host

CONNECT_TIMEOUT = 5
_MARK = "llmdeploy begins"
# sudo reads the password only where it asks for one; elsewhere the line must not reach the command.
_AFTER_PASSWORD = ["sh", "-c", f'while read -r line && [ "$line" != "{_MARK}" ]; do :; done; exec "$@"', "sh"]


@dataclass(frozen=True)
class Access:
    """One host: `ssh` is the command line up to the remote command, empty for the machine itself."""

    host: str
    address: str
    ssh: tuple[str, ...]
    become: bool
    become_password: str | None = None

    @property
    def local(self) -> bool:
        """Whether the host is the machine itself."""
        return not self.ssh

    def command(self, argv: Sequence[str]) -> list[str]:
        """The local command line that runs `argv` on the host, as root."""
        sudo = ["sudo", "-S", "-p", "", *_AFTER_PASSWORD] if self.become_password else ["sudo", "-n"]
        remote = [*(sudo if self.become else []), *argv]
        return [*self.ssh, shlex.join(remote)] if self.ssh else remote

    def prefix(self) -> bytes:
        """What must come first on the command's standard input (sudo's password, if one is needed)."""
        return f"{self.become_password}\n{_MARK}\n".encode() if self.become and self.become_password else b""

    @property
    def tried(self) -> str:
        """How the host is reached, for messages: `deploy@10.0.0.4 port 2222`."""
        if self.local:
            return "this machine"
        options = dict(zip(self.ssh, self.ssh[1:], strict=False))
        user = f"{options['-l']}@" if "-l" in options else ""
        port = f" port {options['-p']}" if "-p" in options else ""
        key = f" with key {options['-i']}" if "-i" in options else ""
        return f"{user}{self.address}{port}{key}"


def access(
    host: Host, control_dir: Path, become_password: str | None = None, known_hosts: Path | None = None
) -> Access:
    """How `host` is reached. Connections share one master in `control_dir` (a short private path) with Ansible's.

    `known_hosts` are the environment's own host keys, beside those that the person knows.
    """
    if host.local:
        return Access(host.name, "127.0.0.1", (), become=os.geteuid() != 0, become_password=become_password)
    variables = host.variables
    argv = ["ssh", *key_options(known_hosts), *shared_options(control_dir)]
    if host.user:
        argv += ["-l", host.user]
    if host.port:
        argv += ["-p", str(host.port)]
    key = variables.get("ansible_ssh_private_key_file") or variables.get("ansible_private_key_file")
    if key:
        argv += ["-i", str(Path(str(key)).expanduser())]
    for name in ("ansible_ssh_args", "ansible_ssh_common_args", "ansible_ssh_extra_args"):
        argv += shlex.split(str(variables.get(name) or ""))
    password = become_password or variables.get("ansible_become_password") or variables.get("ansible_become_pass")
    return Access(
        host.name,
        host.address,
        (*argv, host.address),
        become=needs_become(host),
        become_password=str(password) if password else None,
    )


def key_options(known_hosts: Path | None) -> list[str]:
    """ssh options by which host keys are checked always, whatever the inventory says: of two, ssh takes the first."""
    options = ["-o", "StrictHostKeyChecking=yes"]
    if known_hosts is None:
        return options
    file = str(known_hosts).replace("%", "%%")
    return [*options, "-o", f'UserKnownHostsFile="{file}" ~/.ssh/known_hosts ~/.ssh/known_hosts2']


def shared_options(control_dir: Path) -> list[str]:
    """ssh options for every connection: one shared master, bounded waiting, no questions."""
    options = {
        "BatchMode": "yes",
        "ConnectTimeout": str(CONNECT_TIMEOUT),
        "ControlMaster": "auto",
        "ControlPersist": "60s",
        "ControlPath": f"{control_dir}/%C",
        "ServerAliveInterval": "5",
        "ServerAliveCountMax": "3",
    }
    return [part for key, value in options.items() for part in ("-o", f"{key}={value}")]


def needs_become(host: Host) -> bool:
    """Whether commands on `host` need sudo: not for root; as the inventory says where it says so."""
    given = host.variables.get("ansible_become")
    if given is not None:
        return str(given).lower() in ("true", "yes", "1", "on")
    if host.local:
        return os.geteuid() != 0
    return (host.user or _configured_user(host.address)) != "root"


def _configured_user(address: str) -> str:
    """The user that the person's own ssh configuration names for `address`."""
    done = subprocess.run(["ssh", "-G", address], capture_output=True, text=True, timeout=5, check=False)
    return next((line.split()[1] for line in done.stdout.splitlines() if line.startswith("user ")), "")


def close(accesses: Sequence[Access]) -> None:
    """Ends the shared master connections, so that no ssh process is left behind."""
    for one in accesses:
        if one.ssh:
            subprocess.run([one.ssh[0], "-O", "exit", *one.ssh[1:]], capture_output=True, timeout=5, check=False)
