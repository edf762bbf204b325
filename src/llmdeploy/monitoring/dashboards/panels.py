"""The kinds of panels that dashboards here have. Options: Grafana, visualizations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from llmdeploy.monitoring.dashboards.build import Json, Panel, Target, Thresholds, refs, steps

CODES = {"1xx": "text", "2xx": "green", "3xx": "blue", "4xx": "yellow", "5xx": "red", "other": "purple"}


@dataclass(frozen=True, kw_only=True)
class Graph(Panel):
    """Lines over time.

    stacked  areas on top of each other: their sum can be seen
    colours  of single lines by their legend
    limit    a value at which a line is drawn across
    """

    stacked: bool = False
    colours: Mapping[str, str] = field(default_factory=dict)
    limit: float | None = None
    minimum: float | None = 0

    kind = "timeseries"

    def defaults(self) -> Json:
        """With the line of its limit."""
        found = super().defaults()
        return found if self.limit is None else {**found, "thresholds": steps([(self.limit, "red")], "transparent")}

    def look(self) -> Json:
        """Thin lines, their gaps left open."""
        return {
            "color": {"mode": "palette-classic"},
            "custom": {
                "drawStyle": "line",
                "lineWidth": 1,
                "fillOpacity": 30 if self.stacked else 5,
                "showPoints": "auto",
                "spanNulls": False,
                "stacking": {"mode": "normal" if self.stacked else "none", "group": "A"},
                "thresholdsStyle": {"mode": "off" if self.limit is None else "dashed"},
            },
        }

    def options(self) -> Json:
        """A legend with values, the largest first when one points at it."""
        legend = {"showLegend": True, "displayMode": "table", "placement": "bottom", "calcs": ["lastNotNull", "max"]}
        return {"legend": legend, "tooltip": {"mode": "multi", "sort": "desc"}}

    def overrides(self) -> list[Json]:
        """The colours that have a meaning."""
        return [
            _override("byName", name, {"color": {"mode": "fixed", "fixedColor": colour}})
            for name, colour in self.colours.items()
        ]


@dataclass(frozen=True, kw_only=True)
class Number(Panel):
    """The newest value, large, coloured by its thresholds.

    none   what is shown where there is none
    shown  the value, its legend, or both
    """

    none: str = "-"
    shown: Literal["value", "name", "value_and_name"] = "value"
    width: int = 4
    height: int = 4

    kind = "stat"

    def look(self) -> Json:
        """What stands in place of nothing."""
        return {"color": {"mode": "thresholds"}, "noValue": self.none}

    def queries(self) -> list[Json]:
        """Now only: what ended earlier is no value."""
        return [target.as_json(ref, instant=True) for target, ref in zip(self.targets, refs(), strict=False)]

    def options(self) -> Json:
        """Only the value is coloured."""
        return {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": "value",
            "graphMode": "none",
            "justifyMode": "center",
            "orientation": "auto",
            "textMode": self.shown,
        }


@dataclass(frozen=True, kw_only=True)
class Timeline(Panel):
    """Each series as a band whose colour says how it was. `worst`: the colour below the first threshold."""

    worst: str = "red"

    kind = "state-timeline"

    def defaults(self) -> Json:
        """From the worst on."""
        return {**super().defaults(), "thresholds": steps(self.thresholds, self.worst)}

    def look(self) -> Json:
        """Full colours, since they are what is read."""
        return {"color": {"mode": "thresholds"}, "custom": {"fillOpacity": 80, "lineWidth": 0}}

    def options(self) -> Json:
        """Equal values are one band."""
        legend = {"showLegend": False, "displayMode": "list", "placement": "bottom"}
        tooltip = {"mode": "single", "sort": "none"}
        return {"mergeValues": True, "showValue": "never", "rowHeight": 0.8, "legend": legend, "tooltip": tooltip}


@dataclass(frozen=True)
class Column:
    """One column of values. `expr` has the table's labels and no others, unless it is to add them as columns."""

    title: str
    expr: str
    unit: str = "short"
    decimals: int | None = None
    thresholds: Thresholds = ()

    def override(self) -> Json:
        """How its values are shown."""
        given: Json = {"unit": self.unit}
        if self.decimals is not None:
            given["decimals"] = self.decimals
        if self.thresholds:
            given |= {"thresholds": steps(self.thresholds), "custom.cellOptions": {"type": "color-text"}}
        return _override("byName", self.title, given)


@dataclass(frozen=True, kw_only=True)
class Table(Panel):
    """The newest values of several queries, joined by the labels that they share.

    labels   label → title of its column, in the order in which they are shown
    columns  of values; one without a title is asked for its labels only
    links    title of a column → where a click leads
    sort     title of the column that it is sorted by; with a - before it the largest first
    """

    labels: Mapping[str, str]
    columns: Sequence[Column]
    links: Mapping[str, str] = field(default_factory=dict)
    sort: str = ""
    unit: str = "short"
    width: int = 24
    targets: Sequence[Target] = field(init=False, default=())

    kind = "table"

    def __post_init__(self) -> None:
        object.__setattr__(self, "targets", [Target(column.expr) for column in self.columns])

    def queries(self) -> list[Json]:
        """Now only, labels as columns."""
        asked = zip(self.targets, refs(), strict=False)
        return [target.as_json(ref, instant=True, table=True) for target, ref in asked]

    def look(self) -> Json:
        """No limits to a column's width."""
        return {"custom": {"align": "auto", "cellOptions": {"type": "auto"}, "filterable": True}}

    def options(self) -> Json:
        """Small lines."""
        order = [{"displayName": self.sort.removeprefix("-"), "desc": self.sort.startswith("-")}] if self.sort else []
        return {"showHeader": True, "cellHeight": "sm", "sortBy": order, "footer": {"show": False}}

    def overrides(self) -> list[Json]:
        """Units of the columns, and links."""
        links = [
            _override("byName", title, {"links": [{"title": f"Show {title.lower()}", "url": url}]})
            for title, url in self.links.items()
        ]
        return [*(column.override() for column in self.columns if column.title), *links]

    def transformations(self) -> list[Json]:
        """One line for all that has the same labels; what has no title is not shown."""
        values = dict(zip(self._values(), (column.title for column in self.columns), strict=True))
        shown = {**self.labels, **{name: title for name, title in values.items() if title}}
        hidden = ["Time", *(name for name, title in values.items() if not title)]
        organized = {
            "excludeByName": dict.fromkeys(hidden, True),
            "indexByName": {name: place for place, name in enumerate(shown)},
            "renameByName": shown,
        }
        return [{"id": "merge", "options": {}}, {"id": "organize", "options": organized}]

    def _values(self) -> list[str]:
        """What Grafana calls the values: `Value` of a single query, `Value #A` of several."""
        several = len(self.columns) > 1
        return [f"Value #{ref}" if several else "Value" for _, ref in zip(self.columns, refs(), strict=False)]


@dataclass(frozen=True, kw_only=True)
class Logs(Panel):
    """Lines of logs, the newest first."""

    width: int = 24
    height: int = 12

    kind = "logs"

    def options(self) -> Json:
        """Whole lines with their time."""
        return {
            "showTime": True,
            "showLabels": False,
            "wrapLogMessage": True,
            "prettifyLogMessage": False,
            "enableLogDetails": True,
            "dedupStrategy": "none",
            "sortOrder": "Descending",
        }


def _override(matcher: str, what: str, properties: Json) -> Json:
    found = [{"id": name, "value": value} for name, value in properties.items()]
    return {"matcher": {"id": matcher, "options": what}, "properties": found}
