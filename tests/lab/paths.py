"""Where the lab keeps what must not live in the checkout."""

from __future__ import annotations

import os
from pathlib import Path

SCRIPTS = Path(__file__).parent / "root"


def cache() -> Path:
    """Return the lab's cache folder: `$LLMDEPLOY_CACHE/lab` or `~/.cache/llmdeploy/lab`."""
    base = os.environ.get("LLMDEPLOY_CACHE")
    return _private(Path(base or Path.home() / ".cache" / "llmdeploy") / "lab")


def roots() -> Path:
    """Return the folder of the built root file systems."""
    return _private(cache() / "roots")


def state(lab: str) -> Path:
    """Return the folder of one lab: its keys, its known_hosts and its description. Not created here."""
    return cache() / "run" / lab


def _private(folder: Path) -> Path:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder.resolve()
