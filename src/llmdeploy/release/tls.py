"""TLS at the edge: the certificate's service, and what checks need to know. Pure.

The certificate must change without a new task of the edge, which alone has the host's ports. So a small service beside
it, `edge-tls`, has the certificate as its secret and puts it into a folder that both see. That is a volume in memory:
nothing of it is on a disk, and after a reboot the service fills it again by itself, with what Swarm gives it. The
edge's configuration names the certificate by its content, so that a new one is a new configuration, which the edge
takes over without losing a request.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from llmdeploy.config.models import Settings
from llmdeploy.engine.edgescript import CERTIFICATES

EDGE_TLS = "edge-tls"
FOLDER = "/edge-tls"
MODE_LABEL = "llmdeploy.tls"
UNTIL_LABEL = "llmdeploy.tls.until"
STABILITY = 1.0  # seconds; its file is there long before
DEADLINE = 60.0
CERTIFICATE_FILE = re.compile(rf"{FOLDER}/\w+\.pem")  # in the edge's configuration
EXPIRY = re.compile(r"llmdeploy_edge_certificate_expiry_timestamp_seconds \d+")
_MEMORY = 32 * 1024**2
_NANO = 1_000_000_000

Spec = dict[str, Any]

# The two newest stay: the edge reads the one before until it has its new configuration.
_SCRIPT = f"""
set -eu
trap 'exit 0' TERM
umask 077
cat "$1" > "{FOLDER}/$2.pem.new"
mv -f "{FOLDER}/$2.pem.new" "{FOLDER}/$2.pem"
ls -t {FOLDER}/*.pem | tail -n +3 | while read -r old; do rm -f "$old"; done
while :; do sleep 3600 & wait $!; done
"""


@dataclass(frozen=True)
class EdgeTls:
    """What the edge's certificate is for a release.

    secret     its name in the cluster
    digest     what its file is called
    authority  the authority's certificate that checks go by, PEM; empty: what the asking host trusts
    name       the name that checks ask for
    names      all names it must be good for
    until      when it expires, seconds since 1970
    """

    secret: str
    digest: str
    authority: str
    name: str
    names: tuple[str, ...]
    until: int

    @property
    def file(self) -> str:
        """The file in the edge's container."""
        return f"{FOLDER}/{self.digest}.pem"

    @property
    def check(self) -> dict[str, Any]:
        """What a check that goes through the edge has to know."""
        return {"authority": self.authority, "name": self.name}


NOT_YET = EdgeTls(secret="", digest="none", authority="", name="", names=(), until=0)  # where nobody has gathered it


def waiting(config: str) -> list[str]:
    """What starts HAProxy: it would end where a certificate that its `config` (a file) names is missing.

    On a host that has just come up that is there in a moment.
    """
    script = f"""
trap 'exit 0' USR1 TERM
for file in $({CERTIFICATES} {config}); do
    until [ -e "$file" ]; do sleep 0.2; done
done
exec haproxy "$@"
"""
    return ["sh", "-c", script, "haproxy"]


def volume(stack: str, *, read_only: bool) -> Spec:
    """The mount of the folder in memory. A host keeps it as long as one container has it.

    The edge has it without TLS as well, so that TLS can be turned on and off without another task of it.
    """
    options = {"type": "tmpfs", "device": "tmpfs", "o": "size=1m,mode=0700,nosuid,nodev,noexec"}
    return {
        "Type": "volume",
        "Source": f"{stack}-{EDGE_TLS}",
        "Target": FOLDER,
        "ReadOnly": read_only,
        "VolumeOptions": {"NoCopy": True, "DriverConfig": {"Name": "local", "Options": options}},
    }


def keeper_spec(settings: Settings, tls: EdgeTls, placement: Mapping[str, Any]) -> Spec:
    """The specification of `edge-tls`. `placement`: that of the edge."""
    until = datetime.fromtimestamp(tls.until, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    file = {"Name": "edge.pem", "UID": "0", "GID": "0", "Mode": 0o400}
    return {
        "Name": EDGE_TLS,
        "Labels": {"llmdeploy.stack": settings.stack, MODE_LABEL: settings.tls.mode, UNTIL_LABEL: until},
        "TaskTemplate": {
            "ContainerSpec": {
                "Image": "",
                "Command": ["sh", "-c", _SCRIPT, EDGE_TLS, "/run/secrets/edge.pem", tls.digest],
                "User": "0",
                "Mounts": [volume(settings.stack, read_only=False)],
                "Secrets": [{"SecretName": tls.secret, "File": file}],
                "ReadOnly": True,
                "StopSignal": "SIGTERM",
                "StopGracePeriod": 2 * _NANO,
                "Healthcheck": {"Test": ["NONE"]},
                "CapabilityDrop": ["ALL"],
                "Privileges": {"NoNewPrivileges": True},
            },
            "Resources": {"Limits": {"NanoCPUs": _NANO // 4, "MemoryBytes": _MEMORY, "Pids": 16}, "Reservations": {}},
            "RestartPolicy": {"Condition": "any", "Delay": _NANO},
            "Placement": dict(placement),
        },
        "Mode": {"Global": {}},
        "UpdateConfig": {
            "Parallelism": 0,  # all hosts at once: nobody is served by it
            "Delay": 0,
            "FailureAction": "pause",
            "Monitor": _NANO,
            "MaxFailureRatio": 0,
            "Order": "stop-first",
        },
    }
