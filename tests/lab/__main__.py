"""Run the lab by hand: `python -m tests.lab up`."""

from __future__ import annotations

import argparse
import os
import sys
import time

from tests.lab import lab as labs
from tests.lab import roots
from tests.lab.engine import ensure_engine
from tests.lab.lab import Lab
from tests.lab.shell import LabError, docker

EXAMPLES = """\
examples:
  python -m tests.lab up                        four hosts: head, model-proxy, tail, ui
  python -m tests.lab up --hosts a,b --bare b   two hosts, one of them without Docker
  python -m tests.lab inventory > lab.ini       an inventory for Ansible
  python -m tests.lab ssh head docker node ls
  python -m tests.lab reset                     the same hosts, new
  python -m tests.lab down
"""


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says and return the exit code."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.do(options) or 0)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1


def _up(options: argparse.Namespace) -> None:
    began = time.monotonic()
    Lab.up(options.hosts, bare=options.bare, trixie=options.trixie, name=options.name)
    print(f"lab {options.name} is up after {time.monotonic() - began:.1f} s")
    _status(options)


def _down(options: argparse.Namespace) -> None:
    ensure_engine()
    labs.remove(options.name)


def _reset(options: argparse.Namespace) -> None:
    Lab.attach(options.name).reset()


def _status(options: argparse.Namespace) -> int:
    lab = Lab.attach(options.name)
    found = labs.containers(lab.name)
    for host in lab:
        debian = f"Debian {13 if host.trixie else 12}{', bare' if host.bare else ''}"
        print(f"{host.name:<16} {host.ip:<15} {debian:<16} {found.get(host.container, 'gone')}")
    others = [name for name in labs.names() if name != lab.name]
    if others:
        print(f"other labs: {', '.join(others)}")
    return 0 if len(found) == len(lab.hosts) else 1


def _ssh(options: argparse.Namespace) -> None:
    host = Lab.attach(options.name)[options.host]
    command = host.ssh_command(options.user)
    os.execvp(command[0], [*command, *options.command])


def _inventory(options: argparse.Namespace) -> None:
    print(Lab.attach(options.name).inventory_ini(options.user), end="")


def _roots(_: argparse.Namespace) -> None:
    ensure_engine()
    for recipe in (roots.HOST, roots.BARE, roots.TINY):
        tag = roots.ensure(recipe)
        size = int(docker("image", "inspect", "--format", "{{.Size}}", tag).stdout)
        print(f"{tag:<36} {size / 1e6:6.0f} MB")


def _list(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.lab",
        description="Linux hosts as containers, each with its own sshd and Docker engine.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--name", default="lab", help="which lab (default: lab)")
    verbs = parser.add_subparsers(metavar="command", required=True)

    up = verbs.add_parser("up", parents=[common], help="start the hosts")
    up.add_argument("--hosts", type=_list, default=["head", "model-proxy", "tail", "ui"], metavar="A,B,…")
    up.add_argument("--bare", type=_list, default=[], metavar="A,…", help="hosts without Docker")
    up.add_argument("--trixie", type=_list, default=[], metavar="A,…", help="hosts of Debian 13")
    up.set_defaults(do=_up)

    ssh = verbs.add_parser("ssh", parents=[common], help="a shell or a command on a host")
    ssh.add_argument("--user", default="root", help="root, deploy, carol or nosudo (default: root)")
    ssh.add_argument("host")
    ssh.add_argument("command", nargs=argparse.REMAINDER)
    ssh.set_defaults(do=_ssh)

    inventory = verbs.add_parser("inventory", parents=[common], help="print an Ansible inventory")
    inventory.add_argument("--user", default="deploy", help="the user of the connections (default: deploy)")
    inventory.set_defaults(do=_inventory)

    for verb, do, text in (
        ("status", _status, "the hosts, their addresses and states"),
        ("reset", _reset, "make the hosts new"),
        ("down", _down, "remove the hosts, their disks and keys"),
        ("roots", _roots, "build the hosts' file systems only"),
    ):
        verbs.add_parser(verb, parents=[common], help=text).set_defaults(do=do)
    return parser


if __name__ == "__main__":
    sys.exit(main())
