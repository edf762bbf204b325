"""Alloy's configuration: its structure, and the level that lines of all kinds get."""

from __future__ import annotations

import io
import json
import re
from contextlib import redirect_stdout
from typing import Any

import pytest

from demo.llmdemo.core.journal import Journal
from llmdeploy.monitoring.alloy import CONFIG_FILE, LEVELS, NO_LEVEL, PLAIN, alloy_files, level_template
from tests.unit.monitoring.conftest import small

# Components and blocks → their arguments, required ones first; Alloy 1.18, reference.
BLOCKS = {
    "logging": ((), ("level", "format")),
    "discovery.docker": (("host",), ("refresh_interval",)),
    "discovery.docker/filter": (("name", "values"), ()),
    "discovery.relabel": (("targets",), ()),
    "discovery.relabel/rule": ((), ("source_labels", "target_label", "regex", "action")),
    "loki.source.docker": (("host", "targets", "forward_to"), ("relabel_rules",)),
    "loki.process": (("forward_to",), ()),
    "loki.process/stage.drop": ((), ("older_than", "drop_counter_reason")),
    "loki.process/stage.json": (("expressions",), ()),
    "loki.process/stage.regex": (("expression",), ()),
    "loki.process/stage.template": (("source", "template"), ()),
    "loki.process/stage.labels": (("values",), ()),
    "loki.process/stage.structured_metadata": ((), ("values",)),
    "loki.process/stage.metrics": ((), ()),
    "loki.process/stage.metrics/metric.counter": (
        ("name", "action"),
        ("description", "source", "prefix", "max_idle_duration", "value", "match_all", "count_entry_bytes"),
    ),
    "loki.write": ((), ("external_labels",)),
    "loki.write/endpoint": (("url",), ("max_backoff_period", "max_backoff_retries")),
}
EXPORTS = {
    "discovery.docker": {"targets"},
    "discovery.relabel": {"rules", "output"},
    "loki.process": {"receiver"},
    "loki.write": {"receiver"},
}
TOKEN = re.compile(r'//[^\n]*|\s+|(?P<string>"(?:\\.|[^"\\\n])*")|(?P<word>[\w.]+)|(?P<sign>[{}\[\]()=,])')


class Reader:
    """A reader of Alloy's syntax: blocks with labels, attributes, values."""

    def __init__(self, text: str) -> None:
        self.tokens: list[str] = []
        at = 0
        while at < len(text):
            found = TOKEN.match(text, at)
            assert found, f"no token: {text[at : at + 20]!r}"
            at = found.end()
            if found.lastgroup:
                self.tokens.append(found[0])

    def next(self, expected: str = "") -> str:
        token = self.tokens.pop(0)
        assert not expected or token == expected, f"{token!r} and not {expected!r}"
        return token

    def body(self, end: str = "") -> list[tuple[str, Any]]:
        """(name, value) of attributes, (name, (label, body)) of blocks, until `end`."""
        found: list[tuple[str, Any]] = []
        while self.tokens and self.tokens[0] != end:
            name = self.next()
            assert re.fullmatch(r"[a-z_][\w.]*", name), name
            if self.tokens[0] == "=":
                self.next("=")
                found.append((name, self.value()))
                continue
            label = json.loads(self.next()) if self.tokens[0].startswith('"') else ""
            self.next("{")
            found.append((name, (label, self.body("}"))))
            self.next("}")
        return found

    def value(self) -> Any:
        token = self.next()
        if token == "[":
            return list(self.listed("]", self.value))
        if token == "{":
            return dict(self.listed("}", self.pair))
        if token.startswith('"'):
            return json.loads(token)
        if self.tokens and self.tokens[0] == "(":
            self.next("(")
            return {"call": token, "with": list(self.listed(")", self.value))}
        return json.loads(token) if token in ("true", "false") or token.isdigit() else {"reference": token}

    def pair(self) -> tuple[str, Any]:
        name = self.next()
        self.next("=")
        return name, self.value()

    def listed(self, end: str, one: Any) -> Any:
        while self.tokens[0] != end:
            yield one()
            if self.tokens[0] != end:
                self.next(",")
        self.next(end)


def config(**monitoring: Any) -> list[tuple[str, Any]]:
    files = alloy_files(small(**monitoring))
    assert list(files) == [CONFIG_FILE]
    return Reader(files[CONFIG_FILE]).body()


def blocks(body: list[tuple[str, Any]], above: str = "") -> Any:
    """Every block's name, label and arguments."""
    for name, value in body:
        if isinstance(value, tuple):
            label, inside = value
            yield f"{above}{name}", label, {key: one for key, one in inside if not isinstance(one, tuple)}
            yield from blocks(inside, f"{above}{name}/")


def references(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [value["reference"]] if "reference" in value else [one for x in value.values() for one in references(x)]
    return [one for x in value for one in references(x)] if isinstance(value, list) else []


def only(name: str) -> dict[str, Any]:
    (found,) = [arguments for block, _, arguments in blocks(config()) if block == name]
    return dict(found)


def test_every_block_and_argument_is_one_of_alloys() -> None:
    for name, label, arguments in blocks(config()):
        needed, possible = BLOCKS[name]
        assert set(needed) <= set(arguments) <= {*needed, *possible}, name
        assert bool(label) == ("/" not in name and name != "logging"), name


def test_references_lead_to_what_is_there() -> None:
    there = {f"{name}.{label}.{one}" for name, label, _ in blocks(config()) for one in EXPORTS.get(name, ())}
    used = [one for _, _, arguments in blocks(config()) for one in references(arguments)]
    assert len(used) == 4
    assert set(used) <= there


def test_the_labels_of_the_index_are_few_and_a_task_is_none() -> None:
    rules = [arguments for name, _, arguments in blocks(config()) if name == "discovery.relabel/rule"]
    relabelled = {rule["target_label"]: rule["source_labels"] for rule in rules}
    assert relabelled["service"] == ["__meta_docker_container_label_com_docker_swarm_service_name"]
    beside = only("loki.process/stage.structured_metadata")["values"]
    assert set(beside) == {"task"}
    fixed = only("loki.write")["external_labels"]
    index = (set(relabelled) - set(beside)) | set(only("loki.process/stage.labels")["values"]) | set(fixed)
    assert index == {"service", "level", "environment", "stack", "node"}
    assert (fixed["environment"], fixed["node"]) == ("dev", {"call": "sys.env", "with": ["NODE_NAME"]})


def test_lines_are_counted_when_they_have_their_level_and_no_task() -> None:
    stages = [name for name, _, _ in blocks(config()) if name.startswith("loki.process/stage.")]
    counted = stages.index("loki.process/stage.metrics")
    for before in ("labels", "structured_metadata", "drop"):
        assert stages.index(f"loki.process/stage.{before}") < counted
    counter = only("loki.process/stage.metrics/metric.counter")
    assert (counter["action"], counter["match_all"]) == ("inc", True)


def test_what_is_too_old_for_loki_is_dropped_first() -> None:
    stages = [name for name, _, _ in blocks(config()) if name.startswith("loki.process/")]
    assert stages[0] == "loki.process/stage.drop"
    assert int(only("loki.process/stage.drop")["older_than"].removesuffix("h")) < 7 * 24


def test_containers_of_tasks_are_read_whatever_their_state() -> None:
    assert only("discovery.docker/filter") == {"name": "label", "values": ["com.docker.swarm.service.name"]}


def test_names_with_quotes_stay_strings() -> None:
    assert only("loki.process/stage.regex")["expression"] == PLAIN
    assert only("loki.process/stage.template")["template"] == level_template()
    assert only("loki.process/stage.json")["expressions"]["ecs"] == '"log.level"', "one key with a dot in it"


def level(line: str) -> str:
    """The level of a line, as the stages of the configuration find it."""
    found: dict[str, str] = {}
    try:
        content = json.loads(line)
    except ValueError:
        content = {}
    for name, path in only("loki.process/stage.json")["expressions"].items():
        value = content.get(path.strip('"'))
        if value is not None:
            found[name] = str(value)
    match = re.search(PLAIN, line)
    found |= {name: value for name, value in (match.groupdict() if match else {}).items() if value}
    order = re.findall(r"\.(\w+)", level_template())
    said = next((found[name] for name in order if found.get(name)), "").lower()
    chain = re.findall(r"if eq \$found ((?:`\w+` ?)+) \}\}(\w+)", level_template())
    names: dict[str, str] = {word: name for words, name in chain for word in re.findall(r"`(\w+)`", words)}
    return names.get(said, NO_LEVEL)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"level":"ERROR","msg":"x"}', "error"),
        ('{"severity":"WARNING"}', "warning"),
        ('{"level":30,"msg":"pino"}', "info"),
        ('{"log.level":"debug"}', "debug"),
        ('{"levelname":"CRITICAL","message":"error"}', "critical"),
        ('{"level":"what-ever","msg":"x"}', NO_LEVEL),
        ("2026/11/28 07:00:00 [error] 12#12: *1 open() failed", "error"),
        ('INFO:     127.0.0.1:52 - "GET / HTTP/1.1" 200 OK', "info"),
        ("2026-11-28 07:00:00 UTC [1] LOG:  database system is ready", "info"),
        ("2026-11-28 07:00:00 UTC [33] FATAL:  role does not exist", "critical"),
        ('ts=2026 caller=main.go level=warn msg="error"', "warning"),
        ("panic: runtime error: index out of range", "critical"),
        ("[WARNING]  (1) : Server head-50051/1 is DOWN", "warning"),
        ("2026-11-28 | ERROR | app:main:1 - bad", "error"),
        ("GET /v1/errors 200", NO_LEVEL),
        ("there was no error here", NO_LEVEL),
        ("", NO_LEVEL),
    ],
)
def test_the_level_of_a_line(line: str, expected: str) -> None:
    assert level(line) == expected


def test_the_levels_of_the_demos_lines() -> None:
    journal, out = Journal("head"), io.StringIO()
    with redirect_stdout(out):
        journal.info("starts")
        journal.warning("slow")
        journal.request("/v1/chat", 502, 0.1, failed=True)
    assert [level(line) for line in out.getvalue().splitlines()] == ["info", "warning", "error"]


def test_nothing_else_can_become_a_level() -> None:
    shown = re.sub(r"\{\{.*?\}\}", " ", level_template()).split()
    assert shown == [*LEVELS, NO_LEVEL]
