"""How a part of the history is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmdeploy.cli.history import GRAMMAR, Wish, figures, understood
from llmdeploy.errors import UsageError
from tests.unit.cli.conftest import Call


@pytest.mark.parametrize(
    ("words", "wish"),
    [
        ([], Wish("list")),
        (["show", "12"], Wish("show", (12,))),
        (["diff", "11", "12"], Wish("diff", (11, 12))),
    ],
)
def test_what_is_understood(words: list[str], wish: Wish) -> None:
    assert understood(words, "llmdeploy dev") == wish


@pytest.mark.parametrize(
    ("words", "message", "hint"),
    [
        (["12"], "history 12: show it, or compare it?", "llmdeploy dev history show 12"),
        (["show"], "history show takes the number of one release", "llmdeploy dev history show 12"),
        (["show", "1", "2"], "history show takes the number of one release", "llmdeploy dev history show 12"),
        (["show", "last"], "'last' is not the number of a release", "llmdeploy dev history lists them"),
        (["show", "0"], "'0' is not the number of a release", "llmdeploy dev history lists them"),
        (["diff", "11"], "history diff takes the numbers of two releases", "llmdeploy dev history diff 11 12"),
        (["diff", "11", "x"], "'x' is not the number of a release", "llmdeploy dev history lists them"),
        (["shwo", "1"], "history has no 'shwo'", f"there are: {GRAMMAR}"),
    ],
)
def test_what_is_not_and_how_to_say_it(words: list[str], message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        understood(words, "llmdeploy dev")
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_a_mistake_is_told_before_any_host_is_asked(call: Call, project: Path) -> None:
    said = call("staging", "history", "shwo", "1", "--json")
    assert (said.code, said.envelope["errors"][0]["message"]) == (2, "history has no 'shwo'")
    assert call("staging", "history", "-n", "0").code == 2


@pytest.mark.parametrize(("within", "seconds"), [(None, 86400.0), ("24h", 86400.0), ("90m", 5400.0), ("0s", 0.0)])
def test_figures_over_all_releases(within: str | None, seconds: float) -> None:
    assert figures(Wish("list"), dora=True, within=within, most=None) == Wish("dora", within=seconds)


def test_without_the_option_nothing_is_different() -> None:
    wish = Wish("show", (12,))
    assert figures(wish, dora=False, within=None, most=5) is wish


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--within 1h", "--within is about --dora"),
        ("show 12 --dora", "--dora is about all releases: without show"),
        ("diff 1 2 --dora", "--dora is about all releases: without diff"),
        ("--dora -n 5", "--dora is about all releases that are kept: without -n"),
        (
            "--dora --within soon",
            "--within soon: not a duration; write seconds or a text such as 10s, 2m or 1h30m",
        ),
        ("--dora --within 200h", "--within 200h: not a duration between 0 and 7 days"),
    ],
)
def test_figures_that_cannot_be_had_so(call: Call, project: Path, words: str, message: str) -> None:
    said = call("staging", "history", *words.split(), "--json")
    assert (said.code, said.envelope["errors"][0]["message"]) == (2, message)
