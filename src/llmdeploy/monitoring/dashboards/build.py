"""What a dashboard is made of, and how it becomes the JSON that Grafana reads.

Keys: Grafana's dashboard JSON model, schema 39 (version 11); later versions bring it up to their own when they read it.
Positions and numbers of panels are worked out here, so that no two can have the same.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Source = Literal["prometheus", "loki"]
Json = dict[str, Any]
Thresholds = Sequence[tuple[float, str]]  # (from this value on, colour); below the first one: green

COLUMNS = 24  # of Grafana's grid
SCHEMA = 39
TAG = "llmdeploy"


def source_of(name: Source) -> Json:
    """A data source by its fixed identifier."""
    return {"type": name, "uid": name}


@dataclass(frozen=True)
class Target:
    """One query of a panel.

    legend  what a line is called, such as {{service}}; "" for all of its labels
    """

    expr: str
    legend: str = ""
    source: Source = "prometheus"

    def as_json(self, ref: str, *, instant: bool = False, table: bool = False) -> Json:
        """The query as Grafana reads it; `instant`: only the newest value; `table`: labels as columns."""
        query: Json = {
            "refId": ref,
            "datasource": source_of(self.source),
            "expr": " ".join(self.expr.split()),
            "legendFormat": self.legend or "__auto",
            "editorMode": "code",
        }
        if self.source == "loki":
            return {**query, "queryType": "instant" if instant else "range"}
        shape = {"format": "table"} if table else {"format": "time_series"}
        return {**query, **shape, "instant": instant, "range": not instant}


@dataclass(frozen=True, kw_only=True)
class Panel(ABC):
    """What all panels have.

    unit        identifier of Grafana's, such as percentunit for 0 to 1; "" only where there are no numbers
    width       of 24 columns
    thresholds  at which values the colour changes
    """

    title: str
    targets: Sequence[Target] = ()
    unit: str = ""
    about: str = ""
    width: int = 8
    height: int = 8
    decimals: int | None = None
    minimum: float | None = None
    maximum: float | None = None
    thresholds: Thresholds = ()

    kind = ""

    def as_json(self, number: int, x: int, y: int) -> Json:
        """The panel at its place; `number`: which no other one of its dashboard has."""
        return {
            "id": number,
            "type": self.kind,
            "title": self.title,
            **({"description": self.about} if self.about else {}),
            "datasource": source_of(self.targets[0].source),
            "gridPos": {"h": self.height, "w": self.width, "x": x, "y": y},
            "targets": self.queries(),
            "fieldConfig": {"defaults": self.defaults(), "overrides": self.overrides()},
            "options": self.options(),
            "transformations": self.transformations(),
        }

    def queries(self) -> list[Json]:
        """Its queries, over the time that is shown."""
        return [target.as_json(ref) for target, ref in zip(self.targets, refs(), strict=False)]

    def defaults(self) -> Json:
        """How its values are shown."""
        given = {"unit": self.unit, "decimals": self.decimals, "min": self.minimum, "max": self.maximum}
        found = {key: value for key, value in given.items() if value not in (None, "")}
        return {**found, "thresholds": steps(self.thresholds), **self.look()}

    @abstractmethod
    def options(self) -> Json:
        """What this kind of panel has beside its values."""

    def look(self) -> Json:
        """What this kind of panel has beside units and limits."""
        return {}

    def overrides(self) -> list[Json]:
        """What is different about single fields."""
        return []

    def transformations(self) -> list[Json]:
        """What is done to the answers before they are shown."""
        return []


def refs() -> Iterator[str]:
    """The names of a panel's queries: A, B, …, Z."""
    return iter("ABCDEFGHIJKLMNOPQRSTUVWXYZ")


def steps(thresholds: Thresholds, start: str = "green") -> Json:
    """Thresholds as Grafana reads them; `start`: the colour below the first one."""
    found = [{"color": start, "value": None}, *({"color": colour, "value": value} for value, colour in thresholds)]
    return {"mode": "absolute", "steps": found}


@dataclass(frozen=True)
class Row:
    """Panels under one heading, side by side as long as there is room."""

    title: str
    panels: Sequence[Panel]

    def placed(self) -> tuple[list[tuple[Panel, int, int]], int]:
        """Every panel with its column and line, and how many lines that takes: each as high up as it can be."""
        ground = [0] * COLUMNS
        found = []
        for panel in self.panels:
            places = range(COLUMNS - panel.width + 1)
            x = min(places, key=lambda x: max(ground[x : x + panel.width]))
            y = max(ground[x : x + panel.width])
            ground[x : x + panel.width] = [y + panel.height] * panel.width
            found.append((panel, x, y))
        return found, max(ground)


@dataclass(frozen=True)
class Variable:
    """What can be chosen above a dashboard.

    query    of values, such as label_values(up, service); for a custom one its values; "" for free text
    several  more than one can be chosen, and all are in the beginning
    """

    name: str
    label: str
    query: str = ""
    kind: Literal["query", "custom", "textbox"] = "query"
    several: bool = False

    def as_json(self) -> Json:
        """The variable as Grafana reads it."""
        head: Json = {"name": self.name, "label": self.label, "type": self.kind, "hide": 0, "skipUrlSync": False}
        if self.kind == "textbox":
            return {**head, "query": self.query, "options": [], "current": {"text": self.query, "value": self.query}}
        every = {"text": ["All"], "value": ["$__all"]} if self.several else {}
        # Not the list of all values: a series without that label belongs to all of them as well.
        chosen = {"multi": self.several, "includeAll": self.several, "allValue": ".*" if self.several else None}
        head = {**head, **chosen, "current": every, "options": []}
        if self.kind == "custom":
            return {**head, "query": self.query}
        query = {"qryType": 1, "query": self.query, "refId": "PrometheusVariableQueryEditor-VariableQuery"}
        asked = {"datasource": source_of("prometheus"), "definition": self.query, "query": query}
        return {**head, **asked, "refresh": 2, "sort": 1, "regex": ""}  # again with each span of time, by name


@dataclass(frozen=True)
class Mark:
    """Lines of Loki that are marked in every graph of a dashboard.

    title, text  with {{label}} of what the line says
    """

    name: str
    expr: str
    colour: str
    title: str
    text: str
    tags: Sequence[str] = ()

    def as_json(self) -> Json:
        """The annotation query, as Loki's data source reads it."""
        return {
            "name": self.name,
            "datasource": source_of("loki"),
            "enable": True,
            "hide": False,
            "iconColor": self.colour,
            "expr": self.expr,
            "instant": False,
            "maxLines": 500,
            "titleFormat": self.title,
            "textFormat": self.text,
            "tagKeys": ",".join(self.tags),
            "target": {"expr": self.expr, "refId": "Anno", "queryType": "range"},
        }


@dataclass(frozen=True)
class Dashboard:
    """One dashboard; rows without panels are left out."""

    uid: str
    title: str
    about: str
    rows: Sequence[Row]
    variables: Sequence[Variable] = ()
    marks: Sequence[Mark] = ()
    since: str = "now-3h"
    panels: Sequence[Panel] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "panels", [panel for row in self.rows for panel in row.panels])

    def as_json(self) -> Json:
        """The dashboard as Grafana reads it."""
        return {
            "uid": self.uid,
            "id": None,
            "title": self.title,
            "description": self.about,
            "tags": [TAG],
            "schemaVersion": SCHEMA,
            "version": 1,
            "editable": False,
            "graphTooltip": 1,  # one line through all graphs
            "timezone": "browser",
            "time": {"from": self.since, "to": "now"},
            "refresh": "30s",
            "templating": {"list": [variable.as_json() for variable in self.variables]},
            "annotations": {"list": [mark.as_json() for mark in self.marks]},
            "links": [_others()],
            "panels": list(self._placed()),
        }

    def _placed(self) -> Iterator[Json]:
        top, number = 0, 0
        for row in self.rows:
            if not row.panels:
                continue
            number += 1
            yield _heading(row.title, number, top)
            found, lines = row.placed()
            for panel, x, y in found:
                number += 1
                yield panel.as_json(number, x, top + 1 + y)
            top += 1 + lines


def _heading(title: str, number: int, y: int) -> Json:
    place = {"h": 1, "w": COLUMNS, "x": 0, "y": y}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}


def _others() -> Mapping[str, Any]:
    """Links to all dashboards of llmdeploy, at the time that is shown here."""
    return {
        "type": "dashboards",
        "title": "llmdeploy",
        "tags": [TAG],
        "asDropdown": False,
        "includeVars": True,
        "keepTime": True,
        "targetBlank": False,
    }
