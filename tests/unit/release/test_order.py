"""Waves: a service never shares a wave with, nor comes before, what it depends on."""

from graphlib import CycleError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmdeploy.release.order import wave_numbers, waves


def test_the_ten_services_come_in_five_waves() -> None:
    graph = {
        "tail-go": ["gateway"],
        "gateway": ["head-go", "auth"],
        "head-go": ["model-proxy"],
        "model-proxy": [],
        "auth": ["secrets"],
        "secrets": [],
        "ui": ["tail-go"],
    }
    assert waves(graph) == [["model-proxy", "secrets"], ["auth", "head-go"], ["gateway"], ["tail-go"], ["ui"]]


def test_a_cycle_is_an_error() -> None:
    with pytest.raises(CycleError):
        waves({"a": ["b"], "b": ["a"]})


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    names = [f"s{index}" for index in range(draw(st.integers(1, 12)))]
    return {
        name: draw(st.lists(st.sampled_from(names[:index]), unique=True)) if index else []
        for index, name in enumerate(names)
    }


@given(graphs())
def test_every_service_comes_after_what_it_depends_on(graph: dict[str, list[str]]) -> None:
    numbers = wave_numbers(graph)
    assert set(numbers) == set(graph)
    assert all(numbers[name] == 1 + max((numbers[one] for one in needs), default=0) for name, needs in graph.items())
