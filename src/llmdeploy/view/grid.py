"""A table of the results, and lines of problems."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from llmdeploy.view.words import LEVEL, OTHER, Look

Data = Mapping[str, Any]
Lines = Iterable[RenderableType]


class Grid:
    """A table without lines: columns that fit their content, the last one wraps."""

    def __init__(self, *titles: str, unicode: bool = True) -> None:
        self.unicode = unicode
        self.table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold", show_header=any(titles))
        for index, title in enumerate(titles):
            self.table.add_column(title, overflow="fold", no_wrap=index < len(titles) - 1)

    def row(self, *cells: Text | str) -> None:
        """Adds a row."""
        self.table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells))

    def state(self, look: Look, word: str) -> Text:
        """Out: a cell with sign and word."""
        return Text(f"{look.sign if self.unicode else look.ascii} {word}", look.style)


def problems(found: Sequence[Data], unicode: bool) -> Lines:
    """What checks found, host by host."""
    for one in found:
        yield problem(one, unicode, host=True)


def problem(one: Data, unicode: bool, *, host: bool = False) -> Text:
    """Out: one problem with its hint; `host`: with the host's name in front."""
    look = LEVEL.get(one["level"], OTHER)
    text = Text(f"  {look.sign if unicode else look.ascii} {one['level']}: ", look.style)
    text.append(f"{one['host']}: " if host else "", "bold").append(f"{one['check']}: {one['message']}", "")
    return text.append(f"\n    {one['hint']}", "dim") if one.get("hint") else text


def columns(rows: Sequence[Sequence[Text | str]], gap: str = "  ") -> list[Text]:
    """Out: a line for each row, its cells below each other: for rows with more to say on lines of their own."""
    cells = [[Text(cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    wide = [max(cell_len(cell.plain) for cell in column) for column in zip(*cells, strict=True)]
    lines = []
    for row in cells:
        line = Text(no_wrap=False)
        for cell, width in zip(row, wide, strict=True):
            line.append_text(cell).append(" " * (width - cell_len(cell.plain)) + gap)
        line.rstrip()
        lines.append(line)
    return lines


def below(text: Text, indent: int) -> RenderableType:
    """Out: what belongs to the line above it, indented."""
    return Padding(text, (0, 0, 0, indent))
