"""How many replicas have to move."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmdeploy.engine.spread import to_move

NODES = ["a", "b", "c"]


@pytest.mark.parametrize(
    ("counts", "nodes", "moves"),
    [
        ({}, [], 0),
        ({"a": 2}, ["a"], 0),
        ({"a": 1, "b": 1}, ["a", "b"], 0),
        ({"a": 2}, ["a", "b"], 1),
        ({"a": 2, "b": 1}, ["a", "b"], 0),
        ({"a": 3, "b": 1}, ["a", "b"], 1),
        ({"a": 4}, ["a", "b"], 2),
        ({"a": 2}, NODES, 1),
        ({"a": 2, "b": 1}, NODES, 1),
        ({"a": 3, "b": 1, "c": 1}, NODES, 1),
        ({"gone": 2, "a": 1}, ["a", "b"], 0),  # on a node that takes no tasks now: Docker moves them itself
    ],
)
def test_so_many_move(counts: dict[str, int], nodes: list[str], moves: int) -> None:
    assert to_move(counts, nodes) == moves


@given(st.dictionaries(st.sampled_from("abcde"), st.integers(0, 9)), st.integers(1, 5))
def test_after_so_many_moves_as_docker_makes_them_it_is_even(counts: dict[str, int], size: int) -> None:
    """Each new one where fewest are, then as many taken from where most are."""
    nodes, now = "abcde"[:size], Counter({node: counts.get(node, 0) for node in "abcde"[:size]})
    moves = to_move(counts, nodes)
    for _ in range(moves):
        now[min(nodes, key=lambda node: now[node])] += 1
    for _ in range(moves):
        now[max(nodes, key=lambda node: now[node])] -= 1
    assert max(now.values()) - min(now.values()) <= 1
