"""How a request fails."""

from __future__ import annotations


class LostError(Exception):
    """The request was not answered as it should; the text is the reason, short and without numbers that differ."""
