"""Units people write in configuration files: `4GB`, `512MB`, `10s`, `1m30s`, and how we write them back.

Memory is binary whatever the spelling (1 GB = 1 GiB = 2**30 bytes), as in Docker's own command line.
"""

from __future__ import annotations

import ipaddress
import re

_MEMORY = re.compile(r"(?i)^\s*(\d+(?:\.\d+)?)\s*(b|[kmgt]i?b?)?\s*$")
_DURATION = re.compile(r"(?i)^\s*(?:(\d+)h)?\s*(?:(\d+)m)?\s*(?:(\d+(?:\.\d+)?)s)?\s*$")
_DAYS = re.compile(r"(?i)^\s*(\d{1,6})\s*d\s*$")
MOST_DAYS = 3650
_POWERS = {"b": 0, "k": 1, "m": 2, "g": 3, "t": 4}


def parse_memory(text: str | int) -> int:
    """Bytes in `text`; a bare number is bytes. Raises ValueError with what is accepted."""
    match = _MEMORY.match(str(text))
    if not match or isinstance(text, bool) or len(match[1]) > 18:
        raise ValueError("not a memory size; write a number with a unit, such as 512MB or 4GB")
    size = float(match[1]) * 1024 ** _POWERS[(match[2] or "b")[0].lower()]
    return int(size)


def parse_duration(text: str | float) -> float:
    """Seconds in `text`; a bare number is seconds. Raises ValueError with what is accepted."""
    if isinstance(text, (int, float)) and not isinstance(text, bool):
        seconds = float(text)
    else:
        match = _DURATION.match(str(text))
        if not match or not any(match.groups()):
            raise ValueError("not a duration; write seconds or a text such as 10s, 2m or 1h30m")
        hours, minutes, rest = (float(part or 0) for part in match.groups())
        seconds = hours * 3600 + minutes * 60 + rest
    if not 0 <= seconds <= 7 * 86400:
        raise ValueError("not a duration between 0 and 7 days")
    return seconds


def parse_period(text: str | float) -> float:
    """Seconds in `text`, for what lasts: `14d`, or a duration; a bare number is seconds. Raises ValueError."""
    match = _DAYS.match(str(text))
    if match is None:
        return parse_duration(text)
    days = int(match[1])
    if not 1 <= days <= MOST_DAYS:
        raise ValueError(f"not a period between a day and {MOST_DAYS} days")
    return days * 86400.0


def parse_network(text: str) -> str:
    """A network in `text` in CIDR form; an address is a network of one. Raises ValueError with what is accepted."""
    try:
        return str(ipaddress.ip_network(text.strip(), strict=False))
    except ValueError:
        raise ValueError("not a network; write one such as 10.0.0.0/8, 192.0.2.7 or fd00::/8") from None


def show_memory(size: int) -> str:
    """`size` bytes for people, in the largest unit that stays readable: `1.5 GiB`."""
    value = float(size)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            return f"{value:.4g} {unit}"
        value /= 1024
    raise AssertionError("unreachable")


def show_duration(seconds: float) -> str:
    """`seconds` for people: `3.2s`, `1m05s`, `2h03m`."""
    if seconds < 60:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}m{rest:02d}s"
    return f"{minutes // 60}h{minutes % 60:02d}m"
