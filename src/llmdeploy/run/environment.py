"""The environment of ansible-playbook: little from the user's shell, everything else from here. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

# What a child needs of the shell it was started from. No ANSIBLE_*: a run must not depend on who types the command.
_INHERITED = frozenset(
    {
        "PATH", "HOME", "USER", "LOGNAME", "LANG", "TZ", "TMPDIR", "SSH_AUTH_SOCK", "KRB5CCNAME",
        "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "no_proxy", "all_proxy",
        "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
    }
)  # fmt: skip
CONNECT_TIMEOUT = 5
MOST_FORKS = 25  # more than 20 brought nothing on two cores, fewer cost time from ten hosts on
_SSH_OPTIONS = (
    "-o ControlMaster=auto",
    "-o ControlPersist=120s",
    "-o ServerAliveInterval=5",
    "-o ServerAliveCountMax=3",
)
_FIXED = {
    "LC_ALL": "C.UTF-8",  # Ansible refuses other encodings; and messages stay in one language
    "ANSIBLE_PIPELINING": "True",
    "ANSIBLE_HOST_KEY_CHECKING": "True",  # ansible-runner turns it off unless told
    "ANSIBLE_TIMEOUT": str(CONNECT_TIMEOUT),
    "ANSIBLE_NOCOLOR": "1",
    "ANSIBLE_GATHERING": "explicit",
    "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3",
    "ANSIBLE_NO_TARGET_SYSLOG": "True",  # task arguments do not belong in a host's syslog
    "ANSIBLE_TRANSFORM_INVALID_GROUP_CHARS": "ignore",  # [model-proxy] is a good name
    "ANSIBLE_RETRY_FILES_ENABLED": "False",
    "ANSIBLE_LOCALHOST_WARNING": "False",
    "ANSIBLE_INVENTORY_UNPARSED_WARNING": "False",
    "ANSIBLE_DEPRECATION_WARNINGS": "False",
    "ANSIBLE_NOCOWS": "1",
}


def child_environment(
    inherited: Mapping[str, str],
    *,
    hosts: int,
    library: Iterable[Path] = (),
    module_utils: Iterable[Path] = (),
    roles: Iterable[Path] = (),
    become_password_file: Path | None = None,
    connection_password_file: Path | None = None,
    vault_password_file: Path | None = None,
    ssh_options: Iterable[str] = (),
    more: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """In: the shell's environment, how many hosts, where our Ansible code and password files are.

    `ssh_options` are further arguments of ssh ("-o UserKnownHostsFile=…"), `more` overrides anything.
    Out: the complete environment of ansible-playbook. Passwords are in files only, never here.
    """
    env = {name: value for name, value in inherited.items() if name in _INHERITED}
    env |= _FIXED
    env["ANSIBLE_FORKS"] = str(max(1, min(hosts, MOST_FORKS)))
    env["ANSIBLE_SSH_ARGS"] = " ".join((*_SSH_OPTIONS, *ssh_options))
    env |= {
        name: ":".join(str(path) for path in paths)
        for name, paths in (
            ("ANSIBLE_LIBRARY", tuple(library)),
            ("ANSIBLE_MODULE_UTILS", tuple(module_utils)),
            ("ANSIBLE_ROLES_PATH", tuple(roles)),
        )
        if paths
    }
    files = {
        "ANSIBLE_BECOME_PASSWORD_FILE": become_password_file,
        "ANSIBLE_CONNECTION_PASSWORD_FILE": connection_password_file,
        "ANSIBLE_VAULT_PASSWORD_FILE": vault_password_file,
    }
    env |= {name: str(path) for name, path in files.items() if path is not None}
    return env | dict(more or {})


def private_places(run_dir: Path, control_dir: Path) -> dict[str, str]:
    """In: the run's own folder, a folder with a short path for ssh's sockets (their limit is about 100 characters).

    Out: variables that keep everything Ansible writes there, and every other ansible.cfg out.
    """
    return {
        "ANSIBLE_CONFIG": str(run_dir / "ansible.cfg"),
        "ANSIBLE_LOCAL_TEMP": str(run_dir / "tmp"),
        "ANSIBLE_SSH_CONTROL_PATH_DIR": str(control_dir),
    }
