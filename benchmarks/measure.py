"""Measures llmdeploy next to other ways of doing the same: `python -m benchmarks.measure [WHAT]`."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Collection
from pathlib import Path

from benchmarks import reads, releases, traffic
from benchmarks.figures import FIRST, NO_CHANGE, Figures
from benchmarks.stage import Stage, stage
from benchmarks.timing import FailedRunError
from benchmarks.ways import Way, install_on_hosts
from tests.lab import LabError

WHAT = ("no-change", "first", "reads", "rollback", "update", "traffic", "all")
AGAIN = 2  # second runs of each kind in one round
CALM = 10.0  # seconds after a deploy: what it has left to do on the hosts is not the next run's


def main(arguments: list[str] | None = None) -> int:
    """Measure what is asked, print the table, write the file."""
    options = _parser().parse_args(arguments)
    figures, code = Figures(notes={"load before": _load()}), 0
    try:
        with stage(options.lab) as found:
            _measure(found, figures, options)
    except (FailedRunError, LabError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        code = 1
    except KeyboardInterrupt:
        code = 130
    figures.notes["load after"] = _load()
    print(f"\n{figures.table()}")  # what was measured up to here counts
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(figures.to_json(), indent=1) + "\n")
    return code


def _measure(found: Stage, figures: Figures, options: argparse.Namespace) -> None:
    what, runs = options.what, options.runs
    if what in ("no-change", "first", "all"):
        print("preparing the hosts by each way once", flush=True)
        prepared = install_on_hosts(found)
        order = [way for way in prepared.first() if what != "no-change" or way in prepared.again()]
        for number in range(runs):
            for way in _turned(order, number):
                found.clear()
                figures.add(FIRST, way, prepared.first()[way]())
                time.sleep(CALM)
                if way != "chain":
                    found.chat()
                if what != "first":
                    _again(figures, prepared.again().get(way, {}))
        found.clear()
    if what in ("reads", "all"):
        found.llmdeploy("deploy", "--yes", "--plain")
        time.sleep(CALM)
        reads.measure(found, figures, max(runs, 5))
    if what in ("rollback", "all"):
        releases.rollback(found, figures, runs)
    if what in ("update", "all"):
        releases.update(found, figures, runs)
    if what in ("traffic", "all"):
        traffic.measure(found, figures, options.scenario or list(traffic.SCENARIOS), options.seconds, options.rate)


def _again(figures: Figures, ways: dict[str, Way]) -> None:
    for _ in range(AGAIN):
        for name, run in ways.items():
            figures.add(NO_CHANGE, name, run())


def _turned(order: Collection[str], number: int) -> list[str]:
    """Return the ways beginning with another one in every round: no way always comes after the same one."""
    ways = list(order)
    turn = number % len(ways)
    return [*ways[turn:], *ways[:turn]]


def _load() -> list[float]:
    return [round(load, 2) for load in os.getloadavg()]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.measure", description=__doc__)
    parser.add_argument("what", nargs="?", choices=WHAT, default="all")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="rounds (default: 5)")
    names = list(traffic.SCENARIOS)
    parser.add_argument("--scenario", action="append", choices=names, help="traffic: only these (default: all)")
    parser.add_argument(
        "--seconds", type=float, default=180.0, metavar="S", help="traffic: each scenario at least so long"
    )
    parser.add_argument(
        "--rate", type=float, default=1.0, metavar="X", help="traffic: so many times the usual requests"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all samples to this file, too")
    parser.add_argument("--lab", default="bench", metavar="NAME", help="one that is up already is used and left up")
    return parser


if __name__ == "__main__":
    sys.exit(main())
