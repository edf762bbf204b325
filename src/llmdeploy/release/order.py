"""The order of a release: waves from `depends_on`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from graphlib import TopologicalSorter


def waves(depends_on: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Names in waves: a wave depends on earlier waves only; names in a wave are sorted.

    Raises `graphlib.CycleError` on a cycle (the configuration is checked for cycles before).
    """
    sorter = TopologicalSorter(depends_on)
    sorter.prepare()
    result: list[list[str]] = []
    while sorter.is_active():
        ready = sorted(sorter.get_ready())
        result.append(ready)
        sorter.done(*ready)
    return result


def wave_numbers(depends_on: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """The wave of each name, counted from 1."""
    return {name: number for number, wave in enumerate(waves(depends_on), start=1) for name in wave}
