"""One timed run, several of them, and how the machine was meanwhile."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DEADLINE = 900.0


class FailedRunError(Exception):
    """A timed command did not do what it should; there is no figure without that."""


@dataclass(frozen=True)
class Sample:
    """One run: wall time, CPU time of the processes on this side, how busy all cores were, and parts of the time."""

    seconds: float
    cpu: float
    busy: float  # 0 to 1, of all cores, by whomever
    began: float = 0.0  # by the clock on the wall, which the lab's hosts share
    output: str = field(default="", repr=False)
    parts: Mapping[str, float] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the figures, without the output."""
        rounded = {name: round(seconds, 3) for name, seconds in self.parts.items()}
        return {
            "seconds": round(self.seconds, 3),
            "cpu": round(self.cpu, 3),
            "busy": round(self.busy, 2),
            **({"parts": rounded} if rounded else {}),
        }


def timed(
    command: Sequence[str],
    *,
    input: str | None = None,  # noqa: A002 - the name subprocess gives it
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    good: Sequence[int] = (0,),
) -> Sample:
    """Run a command to its end as a whole process; an exit code that is not `good` raises FailedRunError."""
    cpu, jiffies, wall, began = _cpu(), _jiffies(), time.time(), time.monotonic()
    done = subprocess.run(
        command,
        input=input or "",
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **(env or {})},
        cwd=cwd,
        timeout=DEADLINE,
        check=False,
    )
    seconds = time.monotonic() - began
    if done.returncode not in good:
        last = "\n".join(done.stdout.splitlines()[-40:])
        raise FailedRunError(f"exit code {done.returncode}: {' '.join(command)}\n{last}")
    return Sample(seconds, _cpu() - cpu, _busy(jiffies, _jiffies()), wall, done.stdout)


def median(samples: Sequence[Sample]) -> float:
    """Return the median of the wall times."""
    return statistics.median(sample.seconds for sample in samples)


def median_parts(samples: Sequence[Sample]) -> dict[str, float]:
    """Return the median of each part that the samples have."""
    names = dict.fromkeys(name for sample in samples for name in sample.parts)
    return {name: statistics.median(one.parts[name] for one in samples if name in one.parts) for name in names}


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _jiffies() -> tuple[int, int]:
    """All time and idle time of all cores since the start of the machine."""
    numbers = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return sum(numbers), numbers[3] + numbers[4]


def _busy(before: tuple[int, int], after: tuple[int, int]) -> float:
    total = after[0] - before[0]
    return 1 - (after[1] - before[1]) / total if total else 0.0
