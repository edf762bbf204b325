"""Results about releases, and what people see of them."""

from __future__ import annotations

from typing import Any

ROW = {
    "number": 7, "on": False, "open": False, "verdict": "good", "result": "done", "summary": "web: done",
    "environment": "dev", "action": "deploy", "user": "ana", "host": "laptop", "reason": "why", "git": "1a2b3c4d",
    "dirty": True, "catalogue": "9f2c41d0aa17", "tool": "0.1.0", "started": "2026-11-23T10:00:00Z",
    "finished": "2026-11-23T10:01:13Z", "unlocked": "", "job": "x", "target": None, "taken_back_to": None,
    "seconds": 73.0, "changed": ["web", "edge"],
}  # fmt: skip
SERVICE_ROW = {
    "name": "web", "wave": 2, "image": "registry/web:1.4", "pin": "registry/web@sha256:0123456789abcdef", "group": "a",
    "mode": "replicated", "replicas": 3, "secrets": ["web-key-ab12"], "configs": [], "depends_on": ["store"],
    "action": "change", "changes": ["replicas 1 → 3"], "time": {"state": "failed", "began": 0.4, "seconds": 31.0},
}  # fmt: skip
EDGE_ROW = {
    **SERVICE_ROW, "name": "edge", "wave": 1, "image": "llmdeploy/edge:3f2a", "pin": "sha256:fedcba9876543210",
    "replicas": None, "secrets": [], "action": "unchanged", "changes": [], "time": None,
}  # fmt: skip
DATA: dict[str, dict[str, Any]] = {
    "history": {
        "environment": "dev", "on": 4, "source": 6, "open": 8, "left_off": 3, "releases": [
            {**ROW, "number": 8, "verdict": "running", "open": True, "seconds": 0.0, "changed": [], "git": ""},
            {**ROW, "verdict": "rolled back", "taken_back_to": 4},
            {**ROW, "number": 6, "action": "rollback", "target": 4, "unlocked": "ben"},
            {**ROW, "number": 4, "on": True, "dirty": False, "reason": ""},
        ],
    },
    "release": {
        **ROW, "against": 4, "services": [EDGE_ROW, SERVICE_ROW], "removed": ["old"], "network": "llm-network",
        "waves": [{"wave": 2, "services": ["web"], "began": 0.4, "seconds": 31.0}], "edge": "llm.edge.aaaa",
        "requests": ["chat"], "stack_changes": ["request chat added"],
    },
    "difference": {
        "from": 4, "to": 7, "stack_changes": ["request chat added"],
        "services": [
            {"name": "web", "action": "change", "changes": ["replicas 1 → 3", "memory 1 GiB → 2 GiB"]},
            {"name": "old", "action": "remove", "changes": []}, {"name": "edge", "action": "unchanged", "changes": []},
        ],
        "edge": {"from": "llm.edge.aaaa", "to": "llm.edge.bbbb", "lines": [f"+ line {number}" for number in range(42)]},
    },
    "dora": {
        "first": 4, "last": 12, "kept": 10, "cut": True, "since": "2026-11-02T10:00:00Z",
        "until": "2026-11-09T10:00:00Z", "days": 7.0, "within": 86400.0, "few": 5,
        "deployment_frequency": {"releases": 9, "too_few": False, "good": 7, "per_day": 1.2857},
        "lead_time": {
            "releases": 3, "too_few": True, "median": 5040.0, "worst": 180000.0,
            "left_out": {"no_time": 2, "uncommitted": 1, "same_commit": 1},
        },
        "change_failure_rate": {"releases": 9, "too_few": False, "failed": 3, "rate": 0.3333},
        "recovery_time": {"releases": 2, "too_few": True, "median": 73.0, "worst": 9000.0, "not_yet": 1},
        "failures": [
            {"number": 6, "why": "rolled back", "undone_by": None, "recovered_by": 6, "seconds": 73.0},
            {"number": 7, "why": "undone", "undone_by": 8, "recovered_by": 8, "seconds": 9000.0},
            {"number": 12, "why": "failed", "undone_by": None, "recovered_by": None, "seconds": None},
        ],
    },
}  # fmt: skip
EXPECTED = {
    "history": [
        "   8    2026-11-23", "deploy         ! open                       ana\n        why; from laptop\n",
        "deploy         ◂ rolled back to 4     1:13  ana\n        why; git 1a2b3c4 and changes; from laptop; changed w",
        "rollback to 4  ✓ good                 1:13  ana", "; unlocked by ben\n", "   4 ◀  2026-11-23",
        "        git 1a2b3c4; from laptop; changed web, edge\n", "and 3 older releases (-n 7)",
        "◀ the stack is on release 4, by the rollback 6", "! release 8 was left open by ana on laptop (deploy, since ",
        "`llmdeploy dev deploy` goes on from it, `llmdeploy dev rollback` takes it back",
    ],
    "release": [
        "release 7: ✓ good in 1:13\n", "by         ana on laptop, llmdeploy 0.1.0\n",
        "git        1a2b3c4 and changes\n",
        "ended      web: done\n", "edge       llm.edge.aaaa\n", "before     release 4\n",
        "changes    request chat added\n", "   1  edge     global             llmdeploy/edge:3f2a\n",
        "   2  web             3     31 s  registry/web:1.4 0123456789ab\n        failed\n        ~ replicas 1 → 3\n",
        "        secrets: web-key-ab12\n",
        "      old  - removed\n", "   2  +0.4 s  31 s  web\n", "llmdeploy dev rollback 7 brings the stack back to it\n",
    ],
    "difference": [
        "release 4 → release 7\n~ change  web  replicas 1 → 3\n               memory 1 GiB → 2 GiB\n- remove  old\n",
        "request chat added\n", "edge configuration: llm.edge.aaaa → llm.edge.bbbb\n  + line 0\n",
        "  + line 39\n  and 2 more lines (--json has all)\n1 service unchanged\n",
    ],
    "dora": [
        "releases 4 to 12, from 2026-11-02 ", " until now (7 days)\n",
        "deployment frequency   1.3 a day          9 deployments; 7 of them good\n",
        "lead time for changes  84 min median      3 good deployments; left out: 2 without a commit's time, 1 with unc",
        "ommitted changes, 1 of the same commit\n                       2.1 days at worst  3 releases: too few ",
        "33%                9 deployments; failed: 6 rolled back, 7 undone by 8, 12 failed\n",
        "73 s median        2 failed deployments; 1 not recovered yet\n",
        "! releases before 4 are not counted: `releases.keep` says how many are kept\n",
        "failed: failed, rolled back, interrupted, or undone by a rollback within 24 h\ntoo few: less than 5\n",
    ],
}  # fmt: skip
