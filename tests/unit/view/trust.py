"""The result of trust, and what of it people must see."""

from __future__ import annotations

from typing import Any

NEW = {"name": "head", "address": "10.0.0.4", "kind": "ed25519", "fingerprint": "SHA256:aaaa", "state": "new",
       "detail": ""}  # fmt: skip
CHANGED = {**NEW, "name": "tail", "address": "[10.0.0.5]:2222", "state": "changed", "detail": "was SHA256:bbbb"}
AWAY = {**dict.fromkeys(NEW, ""), "name": "ui", "state": "unreachable", "detail": "no answer"}
DATA: dict[str, dict[str, Any]] = {
    "trust": {
        "environment": "dev", "file": "environments/dev.known_hosts", "hosts": [NEW, CHANGED, AWAY], "recorded": 2,
    },
}  # fmt: skip
EXPECTED = {
    "trust": [
        "host  address          key      fingerprint  state\n",
        "head  10.0.0.4         ed25519  SHA256:aaaa  · new\n",
        "tail  [10.0.0.5]:2222  ed25519  SHA256:aaaa  ! changed\n",
        "✗ unreachable\n",
        "  tail: was SHA256:bbbb\n",
        "2 keys recorded in environments/dev.known_hosts: commit it\n",
    ],
}
