"""The ledger's pure decisions: where a stack stands, where a rollback goes, what may be forgotten."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from llmdeploy.engine.ledger import (
    PLAIN_UP_TO,
    Position,
    decode,
    disposable,
    encode,
    position,
    rollback_target,
    standing,
)

GOOD, KEPT, BACK, OPEN, LOST = "good", "failed", "rolled back", "running", "interrupted"
History = dict[int, dict[str, str]]


def history(*releases: str | tuple[str, int]) -> History:
    """Releases 1, 2, …: a verdict, or for a rollback a verdict and its target."""
    made: History = {}
    for item, one in enumerate(releases, 1):
        verdict, target = (one, 0) if isinstance(one, str) else one
        made[item] = {"verdict": verdict, "target": str(target)}
    return made


@pytest.mark.parametrize("size", [10, PLAIN_UP_TO + 10])
def test_a_manifest_comes_back_as_it_was(size: int) -> None:
    data = {"a": "x" * size}
    assert decode(encode(data)) == data
    assert len(encode(data)) < 450_000


@pytest.mark.parametrize(
    ("releases", "where", "steps"),
    [
        (history(), Position(0, True, 0), [0, 0]),
        (history(GOOD), Position(1, True, 1), [0, 0]),
        (history(GOOD, GOOD, GOOD), Position(3, True, 3), [2, 1, 0]),
        (history(GOOD, GOOD, (GOOD, 1)), Position(1, True, 3), [0, 0]),
        (history(GOOD, GOOD, GOOD, (GOOD, 2)), Position(2, True, 4), [1, 0]),
        (history(GOOD, GOOD, GOOD, (GOOD, 2), (GOOD, 1)), Position(1, True, 5), [0]),
        (history(GOOD, GOOD, GOOD, (GOOD, 2), GOOD), Position(5, True, 5), [3, 2, 1, 0]),
        (history(GOOD, GOOD, BACK), Position(2, True, 2), [1, 0]),
        (history(GOOD, GOOD, KEPT), Position(2, False, 2), [2, 1, 0]),
        (history(GOOD, GOOD, OPEN), Position(2, False, 2), [2, 1, 0]),
        (history(GOOD, GOOD, LOST, BACK), Position(2, False, 2), [2, 1]),
        (history(GOOD, GOOD, LOST, GOOD), Position(4, True, 4), [2, 1]),
        (history(KEPT, GOOD), Position(2, True, 2), [0]),
        (history(KEPT), Position(0, False, 0), [0]),
        (history(GOOD, GOOD, GOOD, (KEPT, 2)), Position(2, False, 4), [2, 1, 0]),
        (history(GOOD, GOOD, GOOD, (KEPT, 2), (GOOD, 2)), Position(2, True, 5), [1, 0]),
        (history(GOOD, GOOD, GOOD, (OPEN, 2)), Position(3, False, 3), [3, 2, 1]),
    ],
)
def test_where_the_stack_stands_and_where_rollbacks_lead(releases: History, where: Position, steps: list[int]) -> None:
    assert position(releases) == where
    assert standing(releases) == where.number
    assert [rollback_target(releases, item) for item in range(1, len(steps) + 1)] == steps


@given(st.lists(st.sampled_from([GOOD, KEPT, BACK, LOST])))
def test_rolling_back_again_and_again_never_goes_forward(verdicts: list[str]) -> None:
    releases = history(*verdicts)
    path = []
    while target := rollback_target(releases):
        path.append(target)
        releases[max(releases) + 1] = {"verdict": GOOD, "target": str(target)}
    assert path == sorted(set(path), reverse=True)


@given(st.lists(st.sampled_from([GOOD, KEPT, BACK, LOST, "target"]), max_size=40), st.integers(2, 10))
@example([GOOD, KEPT, BACK, BACK], 2)  # without the second one nobody would know that the stack is not on the first
def test_forgetting_never_changes_where_the_stack_is_and_could_go_back_to(verdicts: list[str], keep: int) -> None:
    releases = history(*(GOOD if one == "target" else one for one in verdicts))
    for item, one in enumerate(verdicts, 1):
        if one == "target":
            releases[item]["target"] = str(standing({n: x for n, x in releases.items() if n < item}) or "0")
    kept = {n: x for n, x in releases.items() if n not in disposable(releases, keep)}
    assert position(kept) == position(releases)
    assert [rollback_target(kept, steps) for steps in (1, 2)] == [rollback_target(releases, steps) for steps in (1, 2)]
    assert sorted(releases)[-keep:] == sorted(kept)[-keep:]


def test_only_what_nobody_needs_is_forgotten() -> None:
    releases = history(*([GOOD] * 30))
    assert disposable(releases, keep=20) == list(range(1, 11))
    releases = history(GOOD, GOOD, GOOD, *([BACK] * 25))
    assert disposable(releases, keep=20) == list(range(4, 9))
    assert disposable(history(GOOD), keep=20) == []
