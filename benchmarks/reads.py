"""What the reading commands cost, and where their time goes."""

from __future__ import annotations

import json
import re
import statistics
import sys
from collections import defaultdict

from benchmarks.figures import READS, Figures
from benchmarks.stage import CLI, Stage
from benchmarks.timing import Sample, timed

COMMANDS: dict[str, tuple[str, ...]] = {"status": ("status",), "plan": ("plan",)}
SPLIT = {**COMMANDS, "deploy, no change": ("deploy", "--yes", "--plain")}
SHOWN = 6
START = "python starts and ends"
IMPORT_LINE = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s*(\S+)")


def measure(stage: Stage, figures: Figures, runs: int) -> None:
    """Measure each command as a whole process, interleaved, and split each by parts."""
    starts: list[Sample] = []
    for _ in range(runs):
        starts.append(timed([sys.executable, "-c", "pass"]))
        figures.add(READS, "--help", timed([sys.executable, "-c", CLI, "--help"], env=stage.environment))
        for name, words in COMMANDS.items():
            figures.add(READS, name, stage.llmdeploy(*words))
    start = statistics.median(sample.seconds for sample in starts)
    for name, words in SPLIT.items():
        arguments = stage.arguments(*words)
        figures.splits[name] = {START: start, **_imports(stage, arguments), **_parts(stage, arguments, runs)}
    figures.splits["--help"] = {START: start, **_imports(stage, ["--help"])}


def _imports(stage: Stage, arguments: list[str]) -> dict[str, float]:
    """Return the time of all imports of a run, and of the packages that take most; measuring adds a little to it."""
    sample = timed([sys.executable, "-X", "importtime", "-c", CLI, *arguments], env=stage.environment)
    packages: dict[str, float] = defaultdict(float)
    for line in sample.output.splitlines():
        if found := IMPORT_LINE.match(line):
            package = found[2].split(".")[0]
            package = "the standard library" if package in sys.stdlib_module_names else package
            packages[package] += int(found[1]) / 1e6
    largest = sorted(packages, key=lambda package: -packages[package])[:SHOWN]
    return {"imports": sum(packages.values()), **{f"  of them {package}": packages[package] for package in largest}}


def _parts(stage: Stage, arguments: list[str], runs: int) -> dict[str, float]:
    """Return the median of each part over some runs in one process each."""
    command = [sys.executable, "-m", "benchmarks.inside", *arguments]
    found = [json.loads(timed(command, env=stage.inside_environment).output.splitlines()[-1]) for _ in range(runs)]
    names = dict.fromkeys(name for one in found for name in one)
    return {name: statistics.median(one.get(name, 0.0) for one in found) for name in names}
