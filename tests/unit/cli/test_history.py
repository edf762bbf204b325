"""How a part of the history is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from llmdeploy.cli.history import Wish, understood
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
        (["shwo", "1"], "history has no 'shwo'", "there are: history, history show N, history diff N M"),
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
