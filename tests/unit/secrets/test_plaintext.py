"""What is inside the file: texts come back as they were; what is wrong is told without a value."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from llmdeploy.errors import ConfigError
from llmdeploy.secrets.plaintext import dump, looks_like_a_name, parse
from tests.unit.secrets.conftest import PEM

NAMES = st.from_regex(r"[a-z][a-z0-9_]{0,25}(\.pub|\.crt)?", fullmatch=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.dictionaries(NAMES, TEXTS | st.text("ab \n\t'\":#-|>é\r\x85\u2028")))
def test_values_come_back_as_they_were(values: dict[str, str]) -> None:
    text = dump(values)
    assert parse(text, "f") == values
    assert yaml.safe_load(text) == values  # for everybody else who reads the file


@pytest.mark.parametrize("value", ["yes", "null", "~", "", "1e3", "0777", "2026-01-01", "<<", "=", "!x", "&a", "*a"])
def test_what_yaml_would_take_for_something_else(value: str) -> None:
    assert (
        parse(dump({"a": value, value or "b": "c"}) if looks_like_a_name(value) else dump({"a": value}), "f")["a"]
        == value
    )


def test_people_can_read_a_pem() -> None:
    assert dump({"key": PEM}) == "key: |\n" + "".join(f"  {line}\n" for line in PEM.splitlines())


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "---\n", "{}\n", "a:\n", "a: ~\n", "a: null # later\n"])
def test_what_holds_no_value(text: str) -> None:
    assert parse(text, "f") == {}


def test_comments_quotes_and_blocks() -> None:
    text = "# mine\na: 'x: y'  # why\nb: \"1\\n2\"\nc: >-\n  one\n  two\nd: !!str 5\n"
    assert parse(text, "f") == {"a": "x: y", "b": "1\n2", "c": "one two", "d": "5"}


HIDDEN = "hunter2"


@pytest.mark.parametrize(
    ("text", "key", "why"),
    [
        ("a: 12345", "a", "line 1: the value is not text; put it in quotes"),
        ("b: ok\na: true", "a", "line 2: the value is not text"),
        ("a: 2026-01-01", "a", "line 1: the value is not text"),
        ("a: !vault hunter2", "a", "line 1: the value is not text"),
        ("a: hunter2\na: hunter2", "a", "line 2: the name is there twice"),
        ("1: hunter2", "", "line 1: this is no name of a secret"),
        ("hunter2 hunter2: x", "", "line 1: this is no name of a secret"),
        ("a: {b: hunter2}", "a", "line 1: not `NAME: value`; a value is text, nothing nested"),
        ("a:\n- hunter2", "a", "not `NAME: value`"),
        ("- hunter2", "", "not `NAME: value`"),
        ("hunter2", "", "line 1: not `NAME: value`"),
        ("a: *hunter2", "a", "not `NAME: value`"),
        ("? [hunter2]\n: x", "", "not `NAME: value`"),
        ("a: b\n---\nb: hunter2", "", "a second document"),
        ("a: 'hunter2", "", "line 1: broken YAML"),
        ("a: b\n\thunter2: c", "", "broken YAML"),
        ("a: hunter2: b", "", "line 1: broken YAML"),
        ("a: \x01hunter2", "", "broken YAML"),
        pytest.param("[" * 20_000, "", "", id="deep"),
    ],
)
def test_what_is_wrong_is_told_without_a_value(text: str, key: str, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, "environments/dev.secrets.yml")
    (problem,) = caught.value.problems
    assert (problem.file, problem.path, problem.value) == ("environments/dev.secrets.yml", key, "")
    assert why in problem.why
    assert HIDDEN not in str(problem)


def test_everything_wrong_is_told_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        parse("a: 1\nb: 2\nb: x\n", "f")
    assert [problem.path for problem in caught.value.problems] == ["a", "b", "b"]
