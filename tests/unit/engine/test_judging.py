"""The condition of a metric check: what it says of a value, with and without a value of before."""

from __future__ import annotations

import operator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from llmdeploy.config.verifying import MetricCheck
from llmdeploy.engine.judging import parse

SIGNS = {"<=": operator.le, ">=": operator.ge, "==": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt}
NUMBERS = st.integers(-1000, 1000).map(lambda number: number / 8)  # exact in decimal and in binary
SIDES = st.tuples(st.sampled_from(sorted(SIGNS)), NUMBERS, st.none() | NUMBERS)
CONDITIONS = st.lists(st.lists(SIDES, min_size=1, max_size=3), min_size=1, max_size=3)


def written(sign: str, addend: float, factor: float | None) -> str:
    return f"{sign} {addend}" if factor is None else f"{sign} before * {factor} + {addend}"


@given(CONDITIONS, NUMBERS, NUMBERS, st.sampled_from([" ", "  ", ""]))
def test_what_is_written_is_what_is_judged(condition: Any, value: float, before: float, gap: str) -> None:
    text = " or ".join(" and ".join(written(*one) for one in row) for row in condition)
    if gap != " ":
        for sign in SIGNS:
            text = text.replace(f"{sign} ", f"{sign}{gap}")
    wanted = any(
        all(
            SIGNS[sign](value, addend + (before * factor if factor is not None else 0.0))
            for sign, addend, factor in row
        )
        for row in condition
    )
    assert parse(text).holds(value, before) is wanted
    assert parse(text).compares is any(factor is not None for row in condition for _, _, factor in row)


@given(CONDITIONS)
def test_the_engine_reads_what_the_configuration_takes(condition: Any) -> None:
    text = " or ".join(" and ".join(written(*one) for one in row) for row in condition)
    taken = MetricCheck(name="n", query="q", success=text).success
    assert parse(taken) == parse(text)
    assert parse(taken).text == taken


@given(st.text("<>=!*+ .-0123456789eabdfnor", max_size=24))
def test_both_refuse_the_same(text: str) -> None:
    try:
        taken = MetricCheck(name="n", query="q", success=text).success
    except ValidationError:
        with pytest.raises(ValueError, match=r"."):
            parse(text)
    else:
        assert parse(text).text == taken


@pytest.mark.parametrize(
    ("condition", "value", "before", "holds"),
    [
        ("<= 0.05 or <= before * 1.5", 0.04, None, True),
        ("<= 0.05 or <= before * 1.5", 0.31, None, False),  # the other alternative still counts
        ("<= 0.05 or <= before * 1.5", 0.31, 0.3, True),
        ("<= 0.05 or <= before * 1.5", 0.31, float("nan"), False),
        ("<= before * 2 + 0.5", 99.0, None, True),  # nothing that could be compared
        ("<= before * 2 + 0.5", 99.0, 10.0, False),
        ("<= before * 2 and <= 10", 11.0, None, False),
        ("<= before * 2 and <= 10", 9.0, None, True),
        ("<= before", 1.0, 1.0, True),
        ("<= before + 1", 2.0, 1.0, True),
        ("> 1 and < 2 or > 5", 6.0, None, True),  # `and` binds tighter
        ("> 5 or > 1 and < 2", 6.0, None, True),
        (">= 0", float("inf"), None, True),
    ],
)
def test_where_there_was_nothing_before(condition: str, value: float, before: float | None, holds: bool) -> None:
    assert parse(condition).holds(value, before) is holds


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "missing at the end"),
        ("0.05", "is missing at 0.05"),
        ("<= ", "a number is missing at the end"),
        ("<= 1 or", "missing at the end"),
        ("<= 1 2", "nothing may follow here: 2"),
        ("<= __import__('os')", "a number is missing"),
        ("<= before * before", "a number is missing at before"),
    ],
)
def test_what_is_no_condition_says_why(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse(text)
