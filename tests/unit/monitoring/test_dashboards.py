"""Every dashboard: what Grafana needs of it, and queries that ask for what is there."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from llmdeploy.config.watching import PARTS
from llmdeploy.monitoring.dashboards import dashboard_files, dashboards
from llmdeploy.monitoring.dashboards.build import COLUMNS, Dashboard, Panel, Row, Target
from llmdeploy.monitoring.dashboards.panels import Graph, Logs, Number, Table
from llmdeploy.monitoring.dashboards.shared import disk_days, running
from llmdeploy.monitoring.rules import rule_groups
from llmdeploy.monitoring.rules.build import Record
from llmdeploy.monitoring.scope import Scope
from tests.unit.monitoring import logql, promql
from tests.unit.monitoring.alerts.cases import scope as scope_with_everything
from tests.unit.monitoring.conftest import ROOT, said_by, small
from tests.unit.monitoring.metricnames import EXPORTERS
from tests.unit.monitoring.world import answers

NAMES = ["overview", "llm", "service", "nodes", "containers", "edge", "deploys", "monitoring"]
WITHOUT: list[Scope] = [small(parts={part: {"enabled": False}}) for part in PARTS]
SCOPES = [scope_with_everything(), small(), *WITHOUT]
# Identifiers of Grafana's units (packages/grafana-data, valueFormats/categories.ts) that are used here.
UNITS = {
    "short", "none", "percent", "percentunit", "s", "bytes", "Bps", "reqps", "cps", "currencyUSD", "dateTimeFromNow",
    "bool_yes_no",
}  # fmt: skip
CONTRACT = set(re.findall(r"`(\w+)`", (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")))


def built(scope: Scope) -> list[tuple[Dashboard, dict[str, Any]]]:
    return [(found, found.as_json()) for found in dashboards(scope)]


def panels(board: dict[str, Any]) -> list[dict[str, Any]]:
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def queries(scope: Scope, source: str) -> Iterator[tuple[str, str]]:
    """Where each query is, and the query; those of variables and marks are among them."""
    for _, board in built(scope):
        for panel in panels(board):
            for target in panel["targets"]:
                if target["datasource"]["uid"] == source:
                    yield f"{board['uid']}: {panel['title']}", target["expr"]
        if source == "loki":
            yield from ((f"{board['uid']}: {mark['name']}", mark["expr"]) for mark in board["annotations"]["list"])
        for variable in board["templating"]["list"]:
            if source == "prometheus" and variable["type"] == "query":
                found = re.fullmatch(r"label_values\((.+), \w+\)", variable["definition"])
                assert found
                yield f"{board['uid']}: ${variable['name']}", found[1]


def recorded(scope: Scope) -> set[str]:
    groups = [group for found in rule_groups(scope).values() for group in found]
    return {rule.name for group in groups for rule in group.rules if isinstance(rule, Record)}


def test_all_of_them_are_there() -> None:
    uids = [f"llmdeploy-{name}" for name in NAMES]
    assert list(dashboard_files(scope_with_everything())) == uids
    assert len({found.title for found in dashboards(scope_with_everything())}) == len(uids)


@pytest.mark.parametrize("name", ["scope", "scope_with_tls"])
def test_they_are_json_and_small_enough_for_the_cluster(name: str, request: pytest.FixtureRequest) -> None:
    for uid, text in dashboard_files(request.getfixturevalue(name)).items():
        assert json.loads(text)["uid"] == uid
        assert len(text.encode()) < 400_000, "a config of Docker's has 500 KB at most"


@pytest.mark.parametrize("scope", SCOPES)
def test_what_grafana_needs_of_each(scope: Scope) -> None:
    for _, board in built(scope):
        assert board["id"] is None
        assert board["refresh"] == "30s"
        assert board["links"][0]["tags"] == board["tags"], "each leads to the others"
        assert "${DS_" not in json.dumps(board), "syntax of imports: nothing fills it in here"
        ids = [panel["id"] for panel in board["panels"]]
        assert sorted(ids) == list(range(1, len(ids) + 1))
        titles = [(panel["title"], panel["gridPos"]["y"]) for panel in panels(board)]
        assert all(title for title, _ in titles)
        sources = {part for part in ("prometheus", "loki") if part in scope.parts}
        for one in [*panels(board), *board["annotations"]["list"]]:
            assert one["datasource"]["uid"] in sources, one.get("title")
            assert one["datasource"]["type"] == one["datasource"]["uid"]


@pytest.mark.parametrize("scope", SCOPES)
def test_every_number_has_a_unit(scope: Scope) -> None:
    for found in dashboards(scope):
        for panel in found.panels:
            units = (
                [panel.unit, *(column.unit for column in panel.columns)] if isinstance(panel, Table) else [panel.unit]
            )
            if isinstance(panel, Logs):
                units = []
            assert all(unit in UNITS or re.fullmatch(r"suffix: \S+", unit) for unit in units), (panel.title, units)


@pytest.mark.parametrize("scope", SCOPES)
def test_panels_lie_beside_each_other(scope: Scope) -> None:
    for _, board in built(scope):
        cells = [
            {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            for at in (panel["gridPos"] for panel in board["panels"])
        ]
        assert all(0 <= x < COLUMNS for taken in cells for x, _ in taken)
        assert not [one for one, other in combinations(cells, 2) if one & other]


def test_a_panel_takes_the_highest_place_that_is_free() -> None:
    def one(width: int, height: int) -> Panel:
        return Graph(title="one", targets=[Target("up")], unit="short", width=width, height=height)

    found, lines = Row("row", [one(8, 4), one(8, 4), one(8, 12), one(8, 4), one(16, 2)]).placed()
    assert [(x, y) for _, x, y in found] == [(0, 0), (8, 0), (16, 0), (0, 4), (0, 8)]
    assert lines == 12


@pytest.mark.parametrize("scope", SCOPES)
def test_marks_of_releases_are_in_every_graph_where_there_is_loki(scope: Scope) -> None:
    for _, board in built(scope):
        marks = board["annotations"]["list"]
        assert len(marks) == (2 if "loki" in scope.parts else 0)
        assert all(
            mark["enable"] and "filter" not in mark and mark["expr"].startswith('{job="llmdeploy"}') for mark in marks
        )


def test_logs_stand_beside_the_graphs_of_a_service() -> None:
    board = json.loads(dashboard_files(small())["llmdeploy-service"])
    found = {panel["title"]: panel["gridPos"] for panel in panels(board)}
    logs, graphs = found["Logs"], [found[title] for title in ("Requests by code", "Errors", "Latency")]
    for at in graphs:
        assert at["x"] + at["w"] <= logs["x"]
    assert any(logs["y"] <= at["y"] < logs["y"] + logs["h"] for at in graphs)


@pytest.mark.parametrize("scope", SCOPES)
def test_a_query_is_asked_once_and_every_variable_exists(scope: Scope) -> None:
    for _, board in built(scope):
        known = {variable["name"] for variable in board["templating"]["list"]}
        for panel in panels(board):
            assert len({target["expr"] for target in panel["targets"]}) == len(panel["targets"])
            used = set(re.findall(r"\$([a-z]\w*)", " ".join(target["expr"] for target in panel["targets"])))
            assert used <= known, panel["title"]


@pytest.mark.parametrize("scope", SCOPES)
def test_every_metric_is_known(scope: Scope) -> None:
    ours = recorded(scope)
    for place, expr in queries(scope, "prometheus"):
        read = promql.metrics(expr)
        assert read, place
        for name in read:
            if ":" in name:
                assert name in ours, f"{place}: nothing records {name}"
            else:
                bare = re.sub(r"_(bucket|sum|count)$", "", name)
                assert name in EXPORTERS or bare in CONTRACT, f"{place}: {name}"


def test_names_of_metrics_are_found_in_queries() -> None:
    expr = 'sum by (le) (rate(a_total{x="b{c}"}[$__rate_interval])) / on (d) group_left (e) (f:g > 0) unless on () h'
    assert promql.metrics(expr) == {"a_total", "f:g", "h"}


def test_every_exporters_metric_that_is_listed_is_used() -> None:
    read = {name for _, expr in queries(scope_with_everything(), "prometheus") for name in promql.metrics(expr)}
    assert EXPORTERS - read == set()


def test_promql_is_right(tmp_path: Path) -> None:
    found = sorted({promql.plain(expr) for scope in SCOPES for _, expr in queries(scope, "prometheus")})
    rules = [{"record": f"query:{number}", "expr": expr} for number, expr in enumerate(found)]
    file = tmp_path / "queries.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    assert f"SUCCESS: {len(rules)} rules found" in said_by("promtool", "check", "rules", file)


def test_logql_is_right() -> None:
    found = {expr for scope in SCOPES for _, expr in queries(scope, "loki")}
    assert len(found) > 10
    for expr in found:
        logql.check(expr)


@pytest.mark.parametrize(
    "expr",
    [
        '{service="a"',
        "rate(up[5m])",
        'rate({service="a"})',
        'sum({service="a"} [5m]))',
        "{service=a}",
        '{service="a"} |~ "open',
        '{service="a"} | jason',
        '{service="a"} json',
        'irate({service="a"} [5m])',
        'sum(avg_over_time({service="a"} | json [5m]))',
        '{service="a"} | json | level="b" or',
    ],
)
def test_wrong_logql_is_refused(expr: str) -> None:
    with pytest.raises(logql.LogqlError):
        logql.check(expr)


@pytest.mark.parametrize("part", PARTS)
def test_what_is_left_out_is_not_asked_for(part: str) -> None:
    scope = small(parts={part: {"enabled": False}})
    jobs = {"node-exporter": "node"}
    asked = [expr for source in ("prometheus", "loki") for _, expr in queries(scope, source)]
    assert asked
    assert not [expr for expr in asked if f'job="{jobs.get(part, part)}"' in expr]


def test_tables_name_their_columns() -> None:
    for found, board in built(scope_with_everything()):
        for panel, given in zip(found.panels, panels(board), strict=True):
            if not isinstance(panel, Table):
                continue
            merge, organize = given["transformations"]
            assert merge["id"] == "merge"
            renamed = organize["options"]["renameByName"]
            titles = [column.title for column in panel.columns if column.title]
            assert list(renamed.values()) == [*panel.labels.values(), *titles]
            assert len(set(renamed.values())) == len(renamed)
            assert set(panel.links) <= set(renamed.values())
            assert not panel.sort or panel.sort.removeprefix("-") in renamed.values()
            for column in panel.columns:
                by = re.findall(r"\bby \(([^)]*)\)", column.expr)
                outermost = {label.strip() for label in by[0].split(",")} if by else set(panel.labels)
                assert outermost <= set(panel.labels) or "on (" in column.expr, (panel.title, column.title)


WORLD = {
    'service:replicas_wanted{service="web"}': "2x10",
    'service:replicas_wanted{service="store"}': "1x10",
    'service:replicas_wanted{service="job"}': "1x10",
    'service:replicas_running{service="web"}': "1x10",
    'node_filesystem_avail_bytes{job="node",instance="a",device="sda",fstype="ext4",mountpoint="/"}': "8640+0x10",
    # A tenth of a byte a second less: 100 days are left at the end.
    'node_filesystem_avail_bytes{job="node",instance="b",device="sda",fstype="ext4",mountpoint="/"}': "864060-6x10",
    'ALERTS{alertname="Slow",alertstate="firing",severity="ticket",service="web"}': "1x10",
    'ALERTS{alertname="Watchdog",alertstate="firing",severity="none"}': "1x10",
    'ALERTS_FOR_STATE{alertname="Slow",severity="ticket",service="web"}': "60x10",
    'ALERTS_FOR_STATE{alertname="Watchdog",severity="none"}': "0x10",
}


def test_queries_give_what_they_are_for(tmp_path: Path) -> None:
    scope = scope_with_everything()
    boards = {found.uid: {panel.title: panel for panel in found.panels} for found in dashboards(scope)}
    overview = boards["llmdeploy-overview"]
    expected: dict[str, dict[str, float]] = {
        running(scope): {'{service="web"}': 1, '{service="store"}': 0},
        overview["Services not well"].targets[0].expr: {"{}": 2},  # job is not probed: nothing is known of it
        overview["Alerts: within days"].targets[0].expr: {"{}": 1},
        overview["Alerts: act now"].targets[0].expr: {"{}": 0},
        overview["Alerts that fire"].targets[0].expr: {'{alertname="Slow",service="web",severity="ticket"}': 60_000},
        disk_days(): {'{device="sda",instance="b"}': 100},
        boards["llmdeploy-monitoring"]["Watchdog"].targets[0].expr: {"{}": 1},
    }
    asked = [
        {
            "expr": promql.plain(expr),
            "eval_time": "10m",
            "exp_samples": [{"labels": labels, "value": value} for labels, value in values.items()],
        }
        for expr, values in expected.items()
    ]
    series = [{"series": name, "values": values} for name, values in WORLD.items()]
    test = {"interval": "1m", "input_series": series, "promql_expr_test": asked}
    file = tmp_path / "test.yml"
    file.write_text(yaml.safe_dump({"rule_files": [], "evaluation_interval": "1m", "tests": [test]}))
    assert "SUCCESS" in said_by("promtool", "test", "rules", file)


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, str]]]:
    """What every query of every dashboard gives where everything tells its metrics."""
    found = {promql.plain(expr) for _, expr in queries(scope_with_everything(), "prometheus")}
    return answers(scope_with_everything(), sorted(found), tmp_path_factory.mktemp("world"))


def test_every_panel_shows_something_where_everything_is_told(answered: dict[str, list[dict[str, str]]]) -> None:
    asked = {promql.plain(expr): place for place, expr in queries(scope_with_everything(), "prometheus")}
    assert set(answered) == set(asked), "what promtool could not work out"
    assert [asked[expr] for expr, found in answered.items() if not found] == []


def test_legends_and_columns_are_made_of_labels_that_are_there(answered: dict[str, list[dict[str, str]]]) -> None:
    for found, board in built(scope_with_everything()):
        for panel, given in zip(found.panels, panels(board), strict=True):
            for target in given["targets"]:
                if target["datasource"]["uid"] != "prometheus":
                    continue
                place, labels = f"{found.uid}: {panel.title}", answered[promql.plain(target["expr"])]
                if isinstance(panel, Table):
                    assert all(set(one) <= set(panel.labels) for one in labels), (place, labels[0])
                    continue
                legend = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
                assert all(legend <= set(one) for one in labels), (place, labels[0])
                if not isinstance(panel, Number):
                    assert legend or (len(labels) == 1 and target["legendFormat"] != "__auto"), place
                    drawn = [tuple(one[name] for name in sorted(legend)) for one in labels]
                    assert len(set(drawn)) == len(drawn), f"{place}: lines that nobody can tell apart"
