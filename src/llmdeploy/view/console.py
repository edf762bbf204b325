"""Consoles of rich, made the same way everywhere."""

from __future__ import annotations

import os
from typing import TextIO

from rich.console import Console

PIPE_WIDTH = 200  # lines in a pipe are for grep and for files: none is wrapped at 80


def make_console(out: TextIO) -> Console:
    """Out: a console on `out`. NO_COLOR is honoured by rich; a pipe and a dumb terminal get no escapes at all."""
    if is_terminal(out):
        return Console(file=out, highlight=False, markup=False, emoji=False)
    width = None if _is_tty(out) else PIPE_WIDTH
    return Console(file=out, width=width, color_system=None, force_terminal=False, highlight=False, markup=False)


def is_terminal(out: TextIO) -> bool:
    """Whether a picture can be drawn there."""
    return _is_tty(out) and os.environ.get("TERM", "dumb") not in ("dumb", "unknown", "")


def is_unicode(out: TextIO) -> bool:
    """Whether signs beyond ASCII can be written there."""
    return (getattr(out, "encoding", None) or "").lower().replace("-", "").startswith("utf")


def _is_tty(out: TextIO) -> bool:
    try:
        return out.isatty()
    except (AttributeError, ValueError):
        return False
