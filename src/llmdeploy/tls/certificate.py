"""What the edge is given, and what clients check it by."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime

from llmdeploy.release.tls import EdgeTls


@dataclass(frozen=True)
class Certificate:
    """A certificate with its key.

    pem        the certificate, those between it and its authority, and its key
    authority  the certificate of who issued it, PEM; empty where the hosts' system knows it
    names      the host names and addresses that clients use, the most telling one first
    until      when the first certificate of the chain expires
    """

    pem: str = field(repr=False)
    authority: str
    names: tuple[str, ...]
    until: datetime

    def at_edge(self, secret: str) -> EdgeTls:
        """What a release has to know of it. In: its name in the cluster."""
        return EdgeTls(
            secret=secret,
            digest=hashlib.sha256(self.pem.encode()).hexdigest()[:12],  # another certificate is another file
            authority=self.authority,
            name=self.names[0],
            names=self.names,
            until=int(self.until.timestamp()),
        )
