"""Results of `llmdeploy ENV secrets …`, and what of them people must see."""

from __future__ import annotations

from typing import Any

SET = {"name": "db", "kind": "password", "store": "file", "used_by": ["web", "api"], "state": "set",
       "parts": {"db": "set"}}  # fmt: skip
HALF = {"name": "tls", "kind": "certificate", "store": "file", "used_by": [], "state": "missing",
        "parts": {"tls": "set", "tls.crt": "missing"}}  # fmt: skip
DEFAULT = {"name": "smtp", "kind": "given", "store": "variable", "used_by": [], "state": "placeholder",
           "parts": {"smtp": "placeholder"}}  # fmt: skip
PROGRAM = {"name": "op", "kind": "given", "store": "command", "used_by": ["web"], "state": "not asked",
           "parts": {"op": "not asked"}}  # fmt: skip
FILE = "environments/dev.secrets.yml"
DATA: dict[str, dict[str, Any]] = {
    "secrets": {
        "environment": "dev", "file": FILE, "undeclared": ["old", "older"], "secrets": [SET, HALF, DEFAULT, PROGRAM],
    },
    "secrets-changed": {
        "environment": "dev", "file": FILE, "made": ["a", "a.pub"], "replaced": ["b"], "removed": [], "kept": ["c"],
        "open": [HALF, DEFAULT], "notes": ["a note"], "next": ["do this"],
    },
    "secrets-rekeyed": {"files": [FILE], "next": ["put it there"]},
}  # fmt: skip
EXPECTED = {
    "secrets": [
        "secret  kind         from      state                given to\n",
        "db      password     file      ✓ set                web, api\n",
        "tls     certificate  file      ✗ missing (tls.crt)\n",
        "smtp    given        variable  ! placeholder\n",
        "op      given        command   · not asked          web\n",
        f"! in {FILE}, and nobody declares it: old, older\n",
    ],
    "secrets-changed": [
        "dev: made: a, a.pub; replaced: b; kept as it was: c\n  a note\n",
        "  ✗ tls: missing (tls.crt); llmdeploy dev secrets set tls.crt\n",
        "  ! smtp: placeholder; its variable must be set\nnext: do this\n",
    ],
    "secrets-rekeyed": [f"1 file with a new password: {FILE}\nnext: put it there\n"],
}
