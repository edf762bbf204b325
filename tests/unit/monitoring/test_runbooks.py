"""Every alert has a runbook that is found and can be used; every runbook belongs to an alert."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

from llmdeploy.cli.grammar import ACTIONS
from llmdeploy.cli.main import app
from llmdeploy.monitoring.rules import rule_files, rule_groups
from llmdeploy.monitoring.rules.build import RUNBOOKS, Alert
from tests.unit.monitoring.alerts.cases import scope
from tests.unit.monitoring.conftest import small

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "docs" / "runbooks"
INDEX = (FOLDER / "README.md").read_text(encoding="utf-8")
ALERTS = {
    rule.name: rule
    for groups in rule_groups(scope()).values()
    for group in groups
    for rule in group.rules
    if isinstance(rule, Alert)
}
PAGES = {path.stem: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.md") if path.name != "README.md"}
SECTIONS = ["Look first", "Likely causes", "What to do"]
LONGEST = 45  # lines: it is read at 3 a.m.


def test_every_alert_has_a_runbook_and_every_runbook_an_alert() -> None:
    assert sorted(PAGES) == sorted(ALERTS)


def test_the_address_in_the_alert_is_that_of_the_file() -> None:
    for name, alert in ALERTS.items():
        url = alert.as_rule()["annotations"]["runbook_url"]
        assert url.startswith(RUNBOOKS + "/")
        assert (ROOT / url).is_file(), name


@pytest.mark.parametrize("name", sorted(PAGES))
def test_a_runbook_says_how_urgent_it_is_what_to_look_at_and_what_to_do(name: str) -> None:
    text = PAGES[name]
    assert text.startswith(f"# {name}\n")
    urgent = re.search(r"^\*\*(Page|Ticket|For machines)\*\*.*, (?:after (\w+)|at once)\.$", text, re.MULTILINE)
    assert urgent is not None
    words = {"Page": "page", "Ticket": "ticket", "For machines": "none"}
    assert (words[urgent[1]], urgent[2] or "") == (ALERTS[name].severity, ALERTS[name].for_)
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == SECTIONS
    assert re.search(r"```sh\n[^`]+\n```", text.partition("## Look first")[2])
    for section in SECTIONS[1:]:
        assert re.search(r"^- ", text.partition(f"## {section}")[2], re.MULTILINE)
    assert len(text.splitlines()) <= LONGEST


def test_links_lead_to_other_runbooks() -> None:
    for name, text in {**PAGES, "README": INDEX}.items():
        for shown, target in re.findall(r"\[(\w+)\]\((\w+)\.md\)", text):
            assert shown == target, name
            assert target in PAGES, name


def test_the_index_lists_every_alert_once_with_its_severity() -> None:
    rows = re.findall(r"^\| \[(\w+)\]\(\w+\.md\) \| (\w+) \| .+ \|$", INDEX, re.MULTILINE)
    assert sorted(rows) == sorted((name, alert.severity) for name, alert in ALERTS.items())


def test_the_commands_of_runbooks_exist() -> None:
    command = typer.main.get_command(app)
    known = _known(typer.main.get_command(ACTIONS)) | _known(command)
    used = {
        (action, after)
        for text in {**PAGES, "README": INDEX}.values()
        for action, after in re.findall(
            r"llmdeploy ENV ([a-z]+)((?: --?[a-z-]+| (?:show|renew|list|set|unlock|open))*)", text
        )
    }
    assert {action for action, _ in used} <= set(known)
    wrong = [
        (action, word)
        for action, after in used
        for word in after.split()
        if word.startswith("-") and word not in known[action]
    ]
    assert wrong == []


def _known(command: object) -> dict[str, set[str]]:
    """Each command's name with its options, those of the commands below it included."""
    found: dict[str, set[str]] = {}
    for name, below in getattr(command, "commands", {}).items():
        options = {option for parameter in below.params for option in parameter.opts}
        found[name] = options.union(*_known(below).values())
    return found


def test_people_say_where_their_runbooks_are() -> None:
    text = rule_files(small(alerts={"runbooks": "https://wiki.example.com/llm/"}))["replicas.yml"]
    assert "runbook_url: https://wiki.example.com/llm/ServiceDown.md" in text
