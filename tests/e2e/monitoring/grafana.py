"""A client of Grafana's HTTP API, as far as its own pages use it: log in, data sources, dashboards, queries."""

from __future__ import annotations

import base64
import json
import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_FROM, _TO = "now-15m", "now"
_NAMED = re.compile(r"\$\{(\w+)(?::\w+)?\}|\$(\w+)|\[\[(\w+)\]\]")


@dataclass(frozen=True)
class Answer:
    """A status and the body, which is JSON wherever Grafana has something to say."""

    status: int
    body: Any


@dataclass(frozen=True)
class Grafana:
    """Grafana at `url`, as `user` with `password`; without a user nobody is logged in."""

    url: str
    context: ssl.SSLContext
    user: str = ""
    password: str = ""

    def ask(self, path: str, body: Any = None) -> Answer:
        """One request; POST where there is a body."""
        headers = {"Content-Type": "application/json"}
        if self.user:
            headers["Authorization"] = "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        data = None if body is None else json.dumps(body).encode()
        asked = urllib.request.Request(f"{self.url}{path}", data, headers)
        direct = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self.context)
        )
        try:
            with direct.open(asked, timeout=30) as answer:
                return Answer(answer.status, _body(answer.read()))
        except urllib.error.HTTPError as error:
            return Answer(error.code, _body(error.read()))

    def get(self, path: str) -> Any:
        """What is at a path, which must be there."""
        answer = self.ask(path)
        assert answer.status == 200, (path, answer)
        return answer.body

    def logs_in(self) -> bool:
        """Whether the page for it takes user and password."""
        anybody = Grafana(self.url, self.context)
        return anybody.ask("/login", {"user": self.user, "password": self.password}).status == 200

    def dashboards(self) -> list[dict[str, Any]]:
        """All of them, whole."""
        found = self.get("/api/search?type=dash-db")
        return [self.get(f"/api/dashboards/uid/{one['uid']}")["dashboard"] for one in found]

    def run(self, queries: list[dict[str, Any]]) -> dict[str, Any]:
        """refId → its result. The queries of one panel, as Grafana's pages ask them."""
        given = [{"intervalMs": 15000, "maxDataPoints": 300, **one} for one in queries]
        answer = self.ask("/api/ds/query", {"queries": given, "from": _FROM, "to": _TO})
        assert answer.status in (200, 207, 400), answer  # the last two: an error of a query is in its result
        return dict(answer.body.get("results") or {"?": {"error": str(answer.body), "status": answer.status}})


@dataclass(frozen=True)
class Query:
    """The queries of one panel of a dashboard, with values for the dashboard's variables."""

    dashboard: str
    panel: str
    targets: list[dict[str, Any]]

    def __str__(self) -> str:
        return f"{self.dashboard}: {self.panel}"


def queries(dashboard: dict[str, Any]) -> Iterator[Query]:
    """Every panel's queries, those of panels inside of collapsed rows as well."""
    chosen = {one["name"]: _chosen(one) for one in dashboard.get("templating", {}).get("list", [])}
    for panel in _panels(dashboard):
        targets = [one for one in panel.get("targets", []) if one.get("expr")]
        found = [{**one, "expr": _filled(one["expr"], chosen)} for one in targets]
        if found:
            yield Query(dashboard["title"], panel.get("title", "?"), found)


def marks(dashboard: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The queries of what is marked in every graph of a dashboard, as `Grafana.run` takes them."""
    chosen = {one["name"]: _chosen(one) for one in dashboard.get("templating", {}).get("list", [])}
    for one in dashboard.get("annotations", {}).get("list", []):
        if one.get("expr"):
            expr = _filled(one["expr"], chosen)
            yield {"refId": "Anno", "datasource": one["datasource"], "expr": expr, "queryType": "range"}


def rows(result: dict[str, Any]) -> int:
    """How many rows an answer has in all its frames."""
    frames = (frame["data"]["values"] for frame in result.get("frames", []))
    return sum(len(values[0]) if values else 0 for values in frames)


def _panels(holder: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for panel in holder.get("panels", []):
        yield panel
        yield from _panels(panel)


def _chosen(variable: dict[str, Any]) -> str:
    """What a variable stands for in a query: the pages fill it in, not Grafana itself. All, where that is possible."""
    if variable.get("allValue"):
        return str(variable["allValue"])
    value = (variable.get("current") or {}).get("value", "")
    value = value[0] if isinstance(value, list) and value else value
    if value not in ("", [], "$__all"):
        return str(value)
    if variable["type"] == "custom":
        return str(variable["query"]).split(",")[0].strip()
    return "" if variable["type"] == "textbox" else ".+"


def _filled(expr: str, chosen: dict[str, str]) -> str:
    """Variables of the dashboard; those of Grafana ($__rate_interval) are left to it."""
    return _NAMED.sub(lambda found: chosen.get(next(filter(None, found.groups())), found[0]), expr)


def _body(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode(errors="replace")
