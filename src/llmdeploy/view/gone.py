"""What shows a run must not end it: a terminal may be closed, a reader may leave, a disk may be full."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def unless_gone(*, blind: bool = True) -> Iterator[None]:
    """Shows something; where nobody is there to read it, nothing is shown from then on.

    `blind=False` for what is not the terminal: then only this once.
    """
    try:
        yield
    except OSError:
        if blind:
            # What the streams still hold could not be written at the end either, and would cost the exit code.
            sys.stdout = sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 (open until the end)
