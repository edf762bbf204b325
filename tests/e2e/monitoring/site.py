"""Ten services on two hosts, with TLS, whose monitoring is played by Debian's programs, and clients of its parts."""

from __future__ import annotations

import json
import ssl
import urllib.parse
import urllib.request
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from llmdeploy.config.watching import EDGE_PORTS
from tests.e2e.conftest import MakeImages, MakeProject
from tests.e2e.small import HOSTS, Site
from tests.e2e.stack import PLAIN, RARELY, SERVICES, ok
from tests.lab import Lab

GROUPS = {"head": ["head"], "model-proxy": ["head"], "tail": ["tail"], "ui": ["tail"]}
MANAGER, HOME = HOSTS  # the monitoring's data is on the second one: its group is ui
PROMETHEUS, ALERTMANAGER, LOKI = EDGE_PORTS["prometheus"], EDGE_PORTS["alertmanager"], EDGE_PORTS["loki"]
_CA = "/tmp/lab-authority.crt"  # on the manager


@dataclass(frozen=True)
class Watched(Site):
    """A site with the authority of its edges' certificates."""

    authority: str

    @property
    def trusting(self) -> ssl.SSLContext:
        """What a client trusts that has the authority's certificate."""
        return ssl.create_default_context(cadata=self.authority)

    def ask(self, path: str, query: Mapping[str, str] | None = None, *, port: int = PROMETHEUS) -> Any:
        """What a part answers through the edge to a host of the environment, as JSON."""
        head = self.lab[MANAGER]
        url = f"https://{head.ip}:{port}{path}" + (f"?{urllib.parse.urlencode(query)}" if query else "")
        return json.loads(head.exec(f"curl --fail --silent --globoff --max-time 10 --cacert {_CA} '{url}'").stdout)

    def values(self, query: str, by: str = "service", **more: str) -> dict[str, float]:
        """Service (or another label) → value of a query to Prometheus."""
        found = self.ask("/api/v1/query", {"query": query, **more})["data"]["result"]
        return {one["metric"].get(by, ""): float(one["value"][1]) for one in found}

    def refused(self, port: int) -> bool:
        """Whether this machine, which is none of the environment's hosts, gets no answer at a port of the edge."""
        direct = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self.trusting)
        )
        try:
            direct.open(f"https://{self.lab[MANAGER].ip}:{port}/", timeout=2).read()
        except OSError:
            return True
        return False


def make_watched(lab: Lab, make_project: MakeProject, make_images: MakeImages, parts: Collection[str]) -> Watched:
    """A project of the demo stack with TLS and secrets, whose images are on the hosts, as those of `parts` are."""
    project = make_project()
    catalogue = project.root / "inventory" / "group_vars" / "all.yml"
    catalogue.write_text(catalogue.read_text().replace(PLAIN, ""))
    project.inventory("staging", lab.inventory_ini(groups=GROUPS))
    password = project.root / ".vault-password"
    password.write_text("correct-horse-battery-7c41\n")
    password.chmod(0o600)
    images = make_images(project, "staging")
    lab.load(*images, *parts)
    bare = Site(lab, project, images)
    ok(bare.run("staging secrets init"))
    authority = ok(bare.run("staging tls ca")).stdout
    lab[MANAGER].exec(f"cat > {_CA} <<'END'\n{authority}END")
    return Watched(lab, project, images, authority)


def settings(parts: Mapping[str, Mapping[str, Any]], **monitoring: Any) -> dict[str, Any]:
    """environments/staging.yml: small services that end quickly. `parts`: what is different about each."""
    return {
        "defaults": {**RARELY, "stop_grace": 3, "environment": {"DEMO_NOTICE": 0}},
        "edge": {"stop_grace": 3},  # what asks it all the time keeps its connections as long as it may
        "services": {name: {"memory": "256MB", "cpus": 0.5} for name in SERVICES},
        "monitoring": {"interval": "3s", **monitoring, "parts": {name: dict(part) for name, part in parts.items()}},
    }
