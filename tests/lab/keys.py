"""The lab's SSH identity: one client key, and the real host keys of its hosts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.lab.shell import run


@dataclass(frozen=True)
class Keys:
    """The key files of one lab."""

    folder: Path

    @property
    def private(self) -> Path:
        """Return the client's private key."""
        return self.folder / "id_ed25519"

    @property
    def public(self) -> str:
        """Return the client's public key, one line."""
        return self.private.with_suffix(".pub").read_text().strip()

    @property
    def known_hosts(self) -> Path:
        """Return the file of the hosts' real keys, for strict host key checking."""
        return self.folder / "known_hosts"

    def create(self) -> None:
        """Make the folder and the client key where they are not there."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        if not self.private.exists():
            comment = f"llmlab-{self.folder.name}"
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(self.private)])

    def write_known_hosts(self, host_keys: Mapping[str, str]) -> None:
        """Write one line per address from `{address: public host key}`."""
        lines = [f"{address} {key}\n" for address, key in host_keys.items()]
        self.known_hosts.write_text("".join(lines))

    def ssh_options(self) -> list[str]:
        """Return the options that use these keys, and nothing of the caller's own SSH set-up."""
        return [
            *("-F", "/dev/null", "-i", str(self.private)),
            *("-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10"),
            *("-o", f"UserKnownHostsFile={self.known_hosts}", "-o", "GlobalKnownHostsFile=/dev/null"),
            *("-o", "StrictHostKeyChecking=yes", "-o", "LogLevel=ERROR"),
        ]
