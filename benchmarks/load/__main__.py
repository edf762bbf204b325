"""Constant-rate load on the edge of a demo stack: `python -m benchmarks.load 10.0.0.5 10.0.0.6 --http 40 --sse 2`.

Ends after --seconds, or on Ctrl-C or SIGTERM: nothing more is sent, open requests may end, then the figures come.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from benchmarks.load.asks import ASKS, KINDS
from benchmarks.load.generator import Generator, Plan, tell
from benchmarks.load.tally import Tally, dump, report

RATES = {"http": 20.0, "grpc": 20.0, "grpc-stream": 2.0, "sse": 2.0}


def main(arguments: list[str] | None = None) -> int:
    """Send, then print what was seen; 1 when a request was lost."""
    options = _parser().parse_args(arguments)
    with suppress(PermissionError):
        os.nice(-10)  # it must be on time, also where what it measures takes all cores
    rates = {kind: getattr(options, kind.replace("-", "_")) for kind in KINDS}
    tally = asyncio.run(_run(Plan(options.hosts, rates, options.services), options.seconds))
    print(report(tally))
    if options.out:
        options.out.write_text(dump(tally))
    return 1 if tally.losses else 0


async def _run(plan: Plan, seconds: float) -> Tally:
    generator = Generator(plan, say=tell)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, generator.stop)
    print("sending", flush=True)
    return await generator.run(seconds)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.load", description=__doc__)
    parser.add_argument("hosts", nargs="+", metavar="HOST", help="edge hosts, asked in turn")
    for kind in KINDS:
        parser.add_argument(f"--{kind}", type=float, default=RATES[kind], metavar="RATE", help="a second; 0: none")
    names = sorted({ask.name for ask in ASKS})
    parser.add_argument("--service", dest="services", action="append", choices=names, default=[], help="only these")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="default: until told to stop")
    parser.add_argument("--out", type=Path, metavar="FILE", help="every request, as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
