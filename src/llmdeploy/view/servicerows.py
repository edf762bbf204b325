"""The services of a run as lines, as many as there is room for. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text

from llmdeploy.view.model import Service
from llmdeploy.view.words import FINISHED, Look, count, names, one_line, seconds, state_of

STATE_WIDTH = 11
Group = list[Service]


def rows(services: Sequence[Service], now: float, room: int, *, unicode: bool, wide: int = 0) -> list[Text]:
    """In: services in their order. Out: a line each; together in a line what has nothing to tell, where room is short.

    More services than lines: what is under way or broken matters, the rest is counted. `wide`: at least so wide are the
    names.
    """
    if room < 1:
        return []
    groups = _fold([[service] for service in services], "unchanged", always=True)
    for state in ("done", "waiting", "blocked"):
        if len(groups) > room:
            groups = _fold(groups, state)
    rest = 0
    if len(groups) > room:
        matters = [group for group in groups if group[0].state not in FINISHED]
        groups = matters[: room - 1]
        rest = len(services) - sum(map(len, groups))
    wide = max([wide, *(cell_len(group[0].name) for group in groups if len(group) == 1)])
    lines, wave = [], None
    for group in groups:
        lines.append(_line(group, now, wide, first=group[0].wave != wave, unicode=unicode))
        wave = group[0].wave
    return [*lines, *([Text(f"   and {count(rest, 'more service')}", "dim")] if rest else [])]


def cell(look: Look, word: str, *, unicode: bool) -> Text:
    """Out: sign and word of a state, as wide as all of them."""
    return Text(f"{look.sign if unicode else look.ascii} {word:<{STATE_WIDTH}}", look.style)


def _line(group: Group, now: float, wide: int, *, first: bool, unicode: bool) -> Text:
    one = group[0]
    word, look = state_of(one.state, back=one.back)
    waves = {service.wave for service in group}
    number = str(one.wave) if first and len(waves) == 1 and one.wave else ""
    line = Text(f"{number:>2} ", "dim").append_text(cell(look, word, unicode=unicode))
    if len(group) > 1:
        return line.append(f" {len(group)}: {names((service.name for service in group), 20)}", "dim")
    replicas = f"{one.healthy}/{one.wanted}" if one.wanted and one.state not in ("waiting", "blocked") else ""
    time = one.seconds(now)
    name = one.name + " " * (wide - cell_len(one.name))
    line.append(f" {name}", "bold" if one.state == "failed" else "").append(f" {replicas:>5}")
    line.append(f" {seconds(time) if time else '':>7}")
    return line.append(f"  {one_line(one.detail)}", "dim")


def _fold(groups: list[Group], state: str, *, always: bool = False) -> list[Group]:
    """Puts the services of one state together: all of them (`always`), or those beside each other in a wave."""
    folded: list[Group] = []
    target: Group | None = None
    for group in groups:
        if group[0].state != state or len(group) > 1:
            folded.append(group)
        elif target is not None and (always or target[0].wave == group[0].wave):
            target += group
        else:
            target = list(group)
            folded.append(target)
    return folded
