"""DORA's figures as people see them."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from llmdeploy.release.dora import four_keys
from llmdeploy.view import show_outcome
from llmdeploy.view.dora import dora, pace, span

from . import releases


def drawn(data: dict[str, Any], width: int = 80) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, color_system=None)
    for part in dora(data, True):
        console.print(part)
    return out.getvalue()


def test_it_fits_into_80_columns_and_says_all_of_it() -> None:
    text = drawn(releases.DATA["dora"])
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    words = " ".join(text.split())
    for part in ("2.1 days at worst", "3 releases: too few to mean anything", "1 of the same", "`releases.keep`"):
        assert part in words


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 s"), (73.4, "73 s"), (120, "2 min"), (5040, "84 min"), (7200, "2 h"), (9000, "2.5 h"), (86400, "24 h"),
        (2 * 86400, "2 days"), (180000, "2.1 days"),
    ],
)  # fmt: skip
def test_how_long(value: float, text: str) -> None:
    assert span(value) == text


@pytest.mark.parametrize(
    ("row", "text"),
    [
        ({"releases": 0, "per_day": None}, "-"),
        ({"releases": 3, "per_day": None}, "3 in less than a day"),
        ({"releases": 9, "per_day": 1.0}, "1.0 a day"),
        ({"releases": 9, "per_day": 0.25}, "1.8 a week"),
    ],
)
def test_how_often(row: dict[str, Any], text: str) -> None:
    assert pace(row) == text


def test_before_the_first_release() -> None:
    out = io.StringIO()
    show_outcome("dev history", "dora", four_keys({}, 0.0), out=out)
    assert out.getvalue() == "no release yet\n"


def test_what_has_no_deployment_says_so() -> None:
    labels = {"action": "scale", "verdict": "good", "started": "2026-11-02T10:00:00Z"}
    text = drawn(four_keys({1: labels}, 1793700000.0))
    assert text.startswith("release 1, from 2026-11-02 ")
    assert "deployment frequency   -  no deployment\n" in "\n".join(line.rstrip() for line in text.splitlines()) + "\n"
    assert "too few to mean anything" not in text
    assert "releases.keep" not in text
