"""The result of `monitoring open`, and what of it people must see."""

from __future__ import annotations

from typing import Any

DATA: dict[str, dict[str, Any]] = {
    "monitoring": {
        "environment": "staging",
        "addresses": [
            {"part": "grafana", "url": "https://10.0.0.4:3002", "port": 3002, "login": True},
            {"part": "loki", "url": "https://10.0.0.4:3100", "port": 3100, "login": False},
        ],
        "password": "llmdeploy staging secrets get grafana_admin_password",
        "tunnel": "ssh -N -L 127.0.0.1:3002:127.0.0.1:3002 10.0.0.4",
    },
}
EXPECTED = {
    "monitoring": [
        "grafana  https://10.0.0.4:3002  admin, with a password\n",
        "loki     https://10.0.0.4:3100  none: from allowed networks only\n",
        "the password: llmdeploy staging secrets get grafana_admin_password\n",
        "from anywhere with SSH: llmdeploy staging monitoring open --tunnel\n",
    ],
}
