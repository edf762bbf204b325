"""docs/metrics.md says what is so: every recorded name with its labels, every metric that rules read of services."""

from __future__ import annotations

import re
from pathlib import Path

from llmdeploy.config.watching import Alerts
from llmdeploy.monitoring.rules import rule_groups
from llmdeploy.monitoring.rules.build import Record
from tests.unit.monitoring.alerts.cases import scope

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
RULES = [
    rule
    for groups in rule_groups(scope()).values()
    for group in groups
    for rule in group.rules
    if isinstance(rule, Record)
]
CONTRACT = r"\b((?:http|grpc_server|llm|ratelimit|auth|billing|llmdeploy)_\w+)"


def _documented() -> set[str]:
    """Names in the table of recorded series; `also` gives further endings of the first one's name."""
    table = TEXT.partition("## Recorded series")[2].partition("## Thresholds")[0]
    found: set[str] = set()
    for names, about in re.findall(r"^\| (`\S+?:.+?) \| .*? \|(.*)\|$", table, re.MULTILINE):
        here = re.findall(r"`([\w:]+)`", names)
        last = re.search(r"(rate5m|p50_5m)$", here[0])
        also = re.findall(r"`((?:rate|p)\d+\w*)`", about)
        found |= {*here, *(here[0].removesuffix(last[1]) + ending for ending in also if last)}
        found |= set(re.findall(r"`(\w+:[\w:]+)`", about))
    return found


def test_every_recorded_series_is_documented_and_nothing_else() -> None:
    # "as above" stands for the windows of the row before.
    windows = {f"service:errors:rate{window}" for window in ("30m", "1h", "6h", "3d")}
    assert _documented() | windows == {rule.name for rule in RULES}


def test_documented_labels_are_those_that_are_kept() -> None:
    table = TEXT.partition("## Recorded series")[2]
    for names, labels in re.findall(r"^\| (`\S+?:.+?) \| (.*?) \|", table, re.MULTILINE):
        for name in re.findall(r"`([\w:]+)`", names):
            rules = [rule for rule in RULES if rule.name == name]
            for label in re.findall(r"`(\w+)`", labels):
                # By its expression, by what it adds, or by the recorded series that it is made of.
                assert any(
                    label in rule.expr or label in rule.labels or re.search(r"\b(service|llm|edge):", rule.expr)
                    for rule in rules
                ), (name, label)


def test_every_metric_that_rules_read_of_services_is_documented() -> None:
    read = {
        re.sub(r"_(bucket|sum|count)$", "", name)
        for rule in RULES
        for name in re.findall(CONTRACT, re.sub(r"\bllm:\S+", "", rule.expr))
    }
    assert {"http_requests_total", "llm_tokens_total", "llmdeploy_release_info"} <= read
    assert {name for name in read if f"`{name}`" not in TEXT} == set()


def test_every_metric_of_the_demo_that_the_contract_names_has_the_labels_it_says() -> None:
    source = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "demo" / "llmdemo").rglob("*.py"))
    made = re.findall(r'\.(?:counter|histogram)\(\s*"(\w+)",\s*"[^"]*"((?:,\s*"\w+")*)', source)
    assert {"http_requests_total", "llm_requests_total", "billing_events_total"} <= {name for name, _ in made}
    for name, given in made:
        row = re.search(rf"^\| `{name}` \| .*? \| (.*?) \|", TEXT, re.MULTILINE)
        assert row is not None, name
        labels = set(re.findall(r'"(\w+)"', given)) - {"service"}  # Prometheus sets that one
        assert labels <= set(re.findall(r"`(\w+)`", row[1])), name


def test_thresholds_have_the_defaults_of_the_settings() -> None:
    table = dict(re.findall(r"^\| `monitoring\.alerts\.(\w+)` \| (\S+) \|", TEXT, re.MULTILINE))
    alerts = Alerts()
    assert table == {
        "error_budget": f"{alerts.error_budget:g}",
        "latency": f"{alerts.latency:g}s",
        "daily_cost": str(alerts.daily_cost).lower(),
        "minimum": str(alerts.minimum),
    }
