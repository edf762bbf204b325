"""Looks for secrets where they must not be: processes while a command runs, files and Docker's objects afterwards."""

from __future__ import annotations

import base64
import json
import re
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.lab import Host

EVERY = 0.1  # seconds between two looks at the processes; a short-lived one may still be missed
NOT_FILES = ("proc", "sys", "dev/pts")
ENTITLED = (
    "/mounts/secrets",  # where Docker mounts the tmpfs of a task's secrets on its host
    "/var/lib/docker/swarm/",  # Swarm's own store, encrypted by itself
)


def forms(values: Sequence[str]) -> list[bytes]:
    """Each value as it is, and as base64 has it."""
    return [form for value in values for form in (value.encode(), base64.b64encode(value.encode()))]


@contextmanager
def watched(values: Sequence[str]) -> Iterator[list[str]]:
    """Looks at every process of this machine, those of the lab's hosts too. Out: where a value was seen."""
    seen: list[str] = []
    over = threading.Event()
    marks = re.compile(b"|".join(map(re.escape, forms(values))))

    def watch() -> None:
        while not over.wait(EVERY):
            seen.extend(_processes(marks))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        over.set()
        thread.join()


def _processes(marks: re.Pattern[bytes]) -> Iterator[str]:
    for folder in Path("/proc").iterdir():
        if folder.name.isdecimal():
            for kind in ("cmdline", "environ"):
                with suppress(OSError):
                    if marks.search((folder / kind).read_bytes()):
                        yield f"{kind} of {(folder / 'comm').read_text().strip()}"


def in_files(folders: Sequence[Path], values: Sequence[str]) -> list[str]:
    """Files of this machine that hold a value."""
    words = ["grep", "-rslaF", *_patterns(values), "--", *(str(one) for one in folders if one.exists())]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.splitlines()


def on_host(host: Host, values: Sequence[str]) -> list[str]:
    """Files of a host that hold a value, the memory that services are given theirs in left aside."""
    skipped = " ".join(f"--exclude-dir={name.split('/')[-1]}" for name in NOT_FILES)
    patterns = " ".join(f"-e '{mark.decode()}'" for mark in forms(values))
    found = host.exec(f"grep -rslaF {skipped} {patterns} -- / 2>/dev/null", check=False).stdout.splitlines()
    return [path for path in found if not any(place in path for place in ENTITLED)]


def in_docker(host: Host, values: Sequence[str]) -> list[str]:
    """Docker's objects on a host that hold a value."""
    found = []
    for kind, listed in (("container", "ps --all"), ("service", "service ls"), ("config", "config ls"),
                         ("secret", "secret ls"), ("network", "network ls"), ("volume", "volume ls")):  # fmt: skip
        for ident in host.docker(f"{listed} --quiet", check=False).stdout.split():
            text = host.docker([kind, "inspect", ident], check=False).stdout
            data = _data(text)
            if any(mark in text.encode() or mark in data for mark in forms(values)):
                found.append(f"{kind} {ident} on {host.name}")
    return found


def _data(text: str) -> bytes:
    """What a config object holds."""
    with suppress(ValueError, KeyError, IndexError, TypeError):
        return base64.b64decode(json.loads(text)[0]["Spec"]["Data"])
    return b""


def _patterns(values: Sequence[str]) -> list[str]:
    return [word for mark in forms(values) for word in ("-e", mark.decode())]
