"""Results of unlock and prune, and what of them people must see."""

from __future__ import annotations

from typing import Any

OLD = {"id": "sha256:aaaa", "names": ["llmdeploy/demo:old", "llmdeploy/demo@sha256:x"], "size": 1_234_000_000}
NAMELESS = {"id": f"sha256:{'b' * 64}", "names": [], "size": 5000}
HOLDER = {"user": "ben", "host": "ci", "action": "deploy", "started": "18:00"}
PRUNED = {
    "environment": "staging", "changes": True, "configs": ["llm.edge.aaaa"], "secrets": ["llm.key.0a1b"],
    "hosts": [
        {"host": "head-server", "images": [OLD, NAMELESS], "bytes": 1_234_005_000, "problem": ""},
        {"host": "tail-server", "images": [], "bytes": 0, "problem": ""},
        {"host": "ui-server", "images": [], "bytes": 0, "problem": "no answer"},
    ],
}  # fmt: skip
DATA: dict[str, dict[str, Any]] = {
    "unlock": {"environment": "staging", "holder": HOLDER, "by": "ana on laptop", "recorded": 7},
    "prune": {**PRUNED, "removed": False},
    "swarm-unlocked": {
        "environment": "staging",
        "unlocked": ["head-server", "ui-server"],
        "source": "tail-server",
        "away": ["db-server: no answer"],
    },
}
EXPECTED = {
    "unlock": [
        "! the lock of ben on ci (deploy since 18:00) is taken away\n",
        "  by ana on laptop; noted at release 7; should that run live, it stops now\n",
    ],
    "prune": [
        "host           images  at most  which\n",
        "- head-server  2       1.2 GB   llmdeploy/demo:old, bbbbbbbbbbbb\n",
        "✓ tail-server  0       0 B\n", "✗ ui-server                     no answer\n",
        "1 configuration of the edge: llm.edge.aaaa\n",
        "1 secret: llm.key.0a1b\n",
    ],
    "swarm-unlocked": [
        "staging: unlocked head-server, ui-server with the key from tail-server; its services start by themselves\n",
        "  ! db-server: no answer\n",
    ],
}  # fmt: skip
