"""The SSH keys of hosts: what they offer, what an environment knows, and what differs."""

from __future__ import annotations

import base64
import hashlib
import os
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from llmdeploy.cluster.access import CONNECT_TIMEOUT, Access
from llmdeploy.cluster.remote import explain
from llmdeploy.errors import LlmdeployError, UnreachableError

PATIENCE = 3 * CONNECT_TIMEOUT  # seconds; a jump host has its own


@dataclass(frozen=True)
class HostKey:
    """A line of a known_hosts file: `name` is what ssh looks for, such as `10.0.0.4` or `[10.0.0.4]:2222`."""

    name: str
    kind: str
    key: str

    @property
    def fingerprint(self) -> str:
        """As `ssh-keygen -l` prints it."""
        digest = hashlib.sha256(base64.b64decode(self.key)).digest()
        return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"

    def __str__(self) -> str:
        return f"{self.name} {self.kind} {self.key}"


def parse(text: str) -> list[HostKey]:
    """The keys in a known_hosts file (sshd(8)); comments, marks and hashed names are none of ours."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 3 and not words[0].startswith(("#", "@", "|")):
            found += [HostKey(name, words[1], words[2]) for name in words[0].split(",")]
    return found


def state(offered: HostKey, known: Iterable[HostKey]) -> str:
    """`known`, `changed` (the name has other keys only), or `new`."""
    own = [one for one in known if one.name == offered.name]
    return "known" if offered in own else "changed" if own else "new"


def offer(access: Access, folder: Path) -> HostKey:
    """The key that a host shows us now; nobody logs in, nothing of the person's own files is used or changed.

    `folder` is private. Raises UnreachableError when the host does not answer.
    """
    file = folder / f"offered.{access.host}"
    first = {  # of an option that is given twice, ssh takes the first
        "ControlPath": "none",
        "UserKnownHostsFile": str(file),
        "GlobalKnownHostsFile": "/dev/null",
        "StrictHostKeyChecking": "accept-new",
        "HashKnownHosts": "no",
        "UpdateHostKeys": "no",
        "PreferredAuthentications": "none",
    }
    program, *rest = access.ssh
    options = [word for name, value in first.items() for word in ("-o", f"{name}={value}")]
    command = [program, *options, *rest, "true"]
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False)
    except subprocess.TimeoutExpired:
        raise UnreachableError(f"{access.host} did not answer within {PATIENCE} s (tried {access.tried})") from None
    except FileNotFoundError:
        raise LlmdeployError(f"the command {program} is not installed here") from None
    found = parse(file.read_text()) if file.exists() else []
    if not found:
        raise explain(access, done.returncode, done.stderr.decode(errors="replace"))
    return found[0]


def recorded(file: Path) -> list[HostKey]:
    """The keys that an environment knows; none where it has no file."""
    return parse(file.read_text(encoding="utf-8")) if file.exists() else []


def record(file: Path, keys: Sequence[HostKey]) -> None:
    """Writes `keys` into the file, in the place of others of the same names; all other lines stay."""
    names = {key.name for key in keys}
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    kept = [line for line in lines if not names & {one.name for one in parse(line)}]
    descriptor, temporary = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write("".join(f"{line}\n" for line in [*kept, *map(str, keys)]))
    Path(temporary).chmod(0o644)
    Path(temporary).replace(file)
