"""A lab: some hosts on one network of their own."""

from __future__ import annotations

import json
import re
import shutil
import zlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from tests.lab import paths, roots
from tests.lab.engine import ensure_engine
from tests.lab.host import Host
from tests.lab.keys import Keys
from tests.lab.shell import LabError, docker

T = TypeVar("T")
FIRST_ADDRESS = 11
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?")


@dataclass(frozen=True)
class Lab:
    """The hosts of one lab by name, in the order they were asked for."""

    name: str
    hosts: Mapping[str, Host]

    @classmethod
    def up(
        cls,
        hosts: Sequence[str],
        *,
        bare: Collection[str] = (),
        trixie: Collection[str] = (),
        name: str = "lab",
    ) -> Lab:
        """Start hosts and wait until all answer; on failure nothing is left.

        Hosts in `bare` have no Docker, those in `trixie` are Debian 13.
        """
        _check_names(name, hosts, {*bare, *trixie})
        ensure_engine()
        if containers(name):
            raise LabError(f"a lab named {name} is there: use `reset` or `down`, or another name")
        for recipe in {roots.choose(bare=host in bare, trixie=host in trixie) for host in hosts}:
            roots.ensure(recipe)
        keys = Keys(paths.state(name))
        keys.create()
        try:
            prefix = _make_network(name)
            lab = cls(
                name,
                {
                    host: Host(host, f"{prefix}.{number}", name, host in bare, host in trixie, keys)
                    for number, host in enumerate(hosts, FIRST_ADDRESS)
                },
            )
            lab._write_state()
            lab._create()
        except BaseException:
            remove(name)
            raise
        return lab

    @classmethod
    def attach(cls, name: str = "lab") -> Lab:
        """Return the lab of that name, which an earlier process started."""
        folder = paths.state(name)
        try:
            described = json.loads((folder / "lab.json").read_text())
        except FileNotFoundError as error:
            raise LabError(f"there is no lab named {name}: start it with `up`") from error
        keys = Keys(folder)
        return cls(name, {each["name"]: Host(**each, lab=name, keys=keys) for each in described})

    def __getitem__(self, host: str) -> Host:
        try:
            return self.hosts[host]
        except KeyError:
            raise LabError(f"no host {host} in lab {self.name}: {', '.join(self.hosts)}") from None

    def __iter__(self) -> Iterator[Host]:
        return iter(self.hosts.values())

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        self.down()

    @property
    def keys(self) -> Keys:
        """Return the lab's key files."""
        return Keys(paths.state(self.name))

    def load(self, *images: str) -> None:
        """Copy images of this machine's engine into every host that has one."""
        together(lambda host: host.load(*images), [host for host in self if not host.bare])

    def reset(self) -> None:
        """Make every host new; names, addresses and the client's key stay, host keys change."""
        _remove_containers(self.name)
        self._create()

    def down(self) -> None:
        """Remove the lab: hosts, disks, network, keys."""
        remove(self.name)

    def inventory_ini(self, user: str = "deploy", groups: Mapping[str, Sequence[str]] | None = None) -> str:
        """Return an Ansible inventory; by default every host is the one member of a group of its name."""
        lines = []
        for group, members in (groups or {host: [host] for host in self.hosts}).items():
            lines.append(f"[{group}]")
            lines += [f"{host}-server ansible_host={self[host].ip} ansible_user={user}" for host in members]
            lines.append("")
        lines += [
            "[all:vars]",
            f"ansible_ssh_private_key_file={self.keys.private}",
            f"ansible_ssh_common_args=-o UserKnownHostsFile={self.keys.known_hosts} -o IdentitiesOnly=yes",
        ]
        return "\n".join(lines) + "\n"

    def _create(self) -> None:
        together(Host.create, self)
        together(Host.wait, self)
        host_keys = together(Host.host_key, self)
        self.keys.write_known_hosts({host.ip: key for host, key in zip(self, host_keys, strict=True)})

    def _write_state(self) -> None:
        described = [{"name": host.name, "ip": host.ip, "bare": host.bare, "trixie": host.trixie} for host in self]
        (self.keys.folder / "lab.json").write_text(json.dumps(described, indent=1))


def containers(name: str) -> dict[str, str]:
    """Return `{container: status}` of the lab's hosts."""
    rows = docker("ps", "--all", "--filter", f"label=llmlab={name}", "--format", "{{.Names}}\t{{.Status}}").stdout
    return dict(row.split("\t", 1) for row in rows.splitlines())


def names() -> list[str]:
    """Return the names of all labs on this machine."""
    rows = docker("network", "ls", "--filter", "label=llmlab", "--format", '{{.Label "llmlab"}}').stdout
    return sorted(rows.split())


def remove(name: str) -> None:
    """Remove whatever there is of a lab, even of one that never came up whole."""
    _remove_containers(name)
    docker("network", "rm", f"llmlab-{name}", check=False)
    shutil.rmtree(paths.state(name), ignore_errors=True)


def together(do: Callable[[Host], T], hosts: Iterable[Host]) -> list[T]:
    """Do it for all hosts at once; when all have ended, the first error is raised."""
    each = list(hosts)
    with ThreadPoolExecutor(max_workers=max(1, len(each))) as pool:
        return list(pool.map(do, each))


def _check_names(name: str, hosts: Sequence[str], special: set[str]) -> None:
    for word in (name, *hosts):
        if NAME.fullmatch(word) is None:
            raise LabError(f"not a name: {word!r} (small letters, digits and hyphens, at most 32)")
    if not hosts or len(set(hosts)) != len(hosts) or len(hosts) > 200:
        raise LabError("give one to 200 hosts with different names")
    if unknown := special - set(hosts):
        raise LabError(f"not among the hosts {', '.join(hosts)}: {', '.join(sorted(unknown))}")


def _remove_containers(name: str) -> None:
    if found := containers(name):
        docker("rm", "--force", "--volumes", *found)


def _make_network(name: str) -> str:
    """Create the lab's network and return the first three numbers of its addresses.

    172.31 is the last block that Docker hands out by itself, and outside of Swarm's 10.0.0.0/8.
    """
    docker("network", "rm", f"llmlab-{name}", check=False)
    wanted = zlib.crc32(name.encode()) % 256
    for step in range(256):
        prefix = f"172.31.{(wanted + step) % 256}"
        made = docker(
            *("network", "create", "--label", f"llmlab={name}", "--subnet", f"{prefix}.0/24"),
            f"llmlab-{name}",
            check=False,
        )
        if made.returncode == 0:
            return prefix
        if "overlap" not in made.stderr:
            break
    raise LabError(f"no network for the lab: {made.stderr.strip()}")
