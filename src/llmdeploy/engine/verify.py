"""The checks of the finished stack: real requests, each tried a few times before it counts as failed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from typing import Any

from .checks import run_check
from .progress import Progress, harmless

ATTEMPTS = 3
BETWEEN = 1.0  # seconds


def verify_stack(job: Mapping[str, Any], pool: Executor, progress: Progress, wait: Callable[[float], None]) -> str:
    """Run the job's `verify` checks and write a line for each. Out: what failed, or an empty text."""
    left, failed = list(job.get("verify") or []), []
    host = job.get("edge_host") or "127.0.0.1"
    for attempt in range(ATTEMPTS if left else 0):
        if attempt and left:
            wait(BETWEEN)
        futures = [pool.submit(run_check, check, host) for check in left]
        while not all(future.done() for future in futures):
            wait(0.05)
        results = [future.result() for future in futures]
        failed = [result for result in results if not result["ok"]]
        for result in results:
            if result["ok"] or attempt == ATTEMPTS - 1:
                _tell(progress, result)
        left = [check for check, result in zip(left, results, strict=True) if not result["ok"]]
    return "; ".join(harmless(f"{result['name']}: {result['detail']}") for result in failed)


def _tell(progress: Progress, result: Mapping[str, Any]) -> None:
    progress.write("check", name=result["name"], ok=result["ok"], ms=result["ms"], detail=harmless(result["detail"]))
