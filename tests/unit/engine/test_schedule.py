"""Order: nothing before its dependencies, a failure blocks exactly what hangs on it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from llmdeploy.engine import schedule


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    names = [f"s{number}" for number in range(draw(st.integers(0, 12)))]
    graph = {
        name: draw(st.lists(st.sampled_from(names[:at]), unique=True)) if at else [] for at, name in enumerate(names)
    }
    return dict(draw(st.permutations(list(graph.items()))))


def reaches(graph: dict[str, list[str]], name: str, goal: str) -> bool:
    return any(needed == goal or reaches(graph, needed, goal) for needed in graph[name])


@given(graphs(), st.randoms())
def test_nothing_starts_before_its_dependencies_and_everything_starts(
    graph: dict[str, list[str]], random: object
) -> None:
    assert schedule.problem(graph) == ""
    states = dict.fromkeys(graph, "waiting")
    while "waiting" in states.values() or "starting" in states.values():
        for name in schedule.startable(states, graph):
            assert all(states[needed] in schedule.FINISHED for needed in graph[name])
            states[name] = "starting"
        flying = [name for name, state in states.items() if state == "starting"]
        assert flying, "it stands still"
        states[random.choice(flying)] = "done"  # type: ignore[attr-defined]


@given(graphs(), st.data())
def test_a_failure_blocks_exactly_its_descendants(graph: dict[str, list[str]], data: st.DataObject) -> None:
    failed = data.draw(st.sets(st.sampled_from(sorted(graph)))) if graph else set()
    expected = {name for name in graph if name not in failed and any(reaches(graph, name, bad) for bad in failed)}
    assert schedule.blocked(failed, graph) == expected


def test_circles_and_unknown_names_are_refused() -> None:
    assert schedule.problem({"a": ["b"], "b": ["a"], "c": []}) == "the dependencies of a, b form a circle"
    assert schedule.problem({"a": ["x"]}) == "a depends on x, which is not in this release"
