"""Figures collected over a whole measurement: by question, by way; shown as a table and kept as JSON."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

from benchmarks.timing import Sample, median, median_parts

NO_CHANGE = "no-change deploy, four hosts"
FIRST = "first deploy, ten services, prepared hosts"
READS = "reads, four hosts"
ROLLBACK = "rollback of ten services"
UPDATE = "update of one service of ten"
SLOWEST = "slowest service's own start"


@dataclass
class Section:
    """Figures that are no times of runs: how people read them, and what is kept of them."""

    name: str
    lines: list[str] = field(default_factory=list)
    data: Any = None


@dataclass
class Figures:
    """Samples by question and way, in the order in which they came."""

    samples: dict[str, dict[str, list[Sample]]] = field(default_factory=dict)
    splits: dict[str, Mapping[str, float]] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    sections: list[Section] = field(default_factory=list)

    def add(self, question: str, way: str, sample: Sample) -> None:
        """Keep a sample and say so."""
        self.samples.setdefault(question, {}).setdefault(way, []).append(sample)
        print(
            f"  {question:<44} {way:<20} {sample.seconds:7.2f} s  {sample.cpu:6.2f} s CPU here"
            f"  cores {sample.busy:4.0%} busy",
            flush=True,
        )

    def median(self, question: str, way: str) -> float | None:
        """Return the median of a way, None where it was not measured."""
        found = self.samples.get(question, {}).get(way)
        return median(found) if found else None

    def table(self) -> str:
        """Return everything as lines for people."""
        lines = [f"{'':<46}{'min':>8}{'median':>8}{'max':>8}{'runs':>6}{'CPU here':>10}{'cores busy':>12}"]
        for question, ways in self.samples.items():
            lines += ["", question]
            for way, samples in ways.items():
                seconds = [sample.seconds for sample in samples]
                cpu = statistics.median(sample.cpu for sample in samples)
                busy = statistics.median(sample.busy for sample in samples)
                lines.append(
                    f"  {way:<44}{min(seconds):8.2f}{median(samples):8.2f}{max(seconds):8.2f}{len(seconds):6}"
                    f"{cpu:10.2f}{busy:12.0%}"
                )
        lines += ["", *self.verdicts()]
        for name, parts in [*self._parts(), *self.splits.items()]:
            lines += ["", f"where the time of {name} goes (s)"]
            lines += [f"  {part:<44}{seconds:8.3f}" for part, seconds in parts.items()]
        for section in self.sections:
            lines += ["", section.name, *section.lines]
        return "\n".join(lines)

    def _parts(self) -> Iterator[tuple[str, Mapping[str, float]]]:
        for question in (FIRST, ROLLBACK, UPDATE):
            for way, samples in self.samples.get(question, {}).items():
                if parts := median_parts(samples):
                    yield f"{question}: {way},", parts

    def verdicts(self) -> Iterator[str]:
        """Yield each ratio with its target, as information."""
        ours = self.median(NO_CHANGE, "ours")
        for way in ("hand-written", "hand-written, tuned"):
            theirs = self.median(NO_CHANGE, way)
            if ours and theirs:
                yield f"no-change: ours / {way} = {ours / theirs:.3f} = 1/{theirs / ours:.1f}   (target: at most 1/5)"
        ours, chain = self.median(FIRST, "ours"), self.median(FIRST, "chain")
        if ours and chain:
            target = f"at most 1.25 x chain + 10 s = {1.25 * chain + 10:.1f} s"
            yield f"first: ours {ours:.1f} s, longest chain {chain:.1f} s   (target: {target})"
        for way in ("stack deploy", "hand-written"):
            theirs = self.median(FIRST, way)
            if ours and theirs:
                yield f"first: ours / {way} = {ours / theirs:.2f}"
        yield from self._verdicts_of_releases()

    def _verdicts_of_releases(self) -> Iterator[str]:
        for sample in self.samples.get(ROLLBACK, {}).get("ours", []):
            own = sample.parts[SLOWEST]
            yield f"rollback: {sample.seconds:.1f} s, {SLOWEST} {own:.1f} s   (target: 2 x + 5 s = {2 * own + 5:.1f} s)"
        ways = {way: self.median(ROLLBACK, way) for way in self.samples.get(ROLLBACK, {})}
        for way, theirs in ways.items():
            if way != "ours" and theirs and (ours := ways.get("ours")):
                yield f"rollback: ours / {way} = {ours / theirs:.2f}"
        for name, samples in self.samples.get(UPDATE, {}).items():
            more = statistics.median(sample.parts["overhead"] for sample in samples)
            yield f"update of {name}: {more:.1f} s more than its own start and drain   (target: at most 5 s)"

    def to_json(self) -> dict[str, Any]:
        """Return everything for a result file; nothing in it names a machine or a person."""
        return {
            "date": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
            "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
            **self.notes,
            "samples": {
                question: {way: [sample.to_json() for sample in samples] for way, samples in ways.items()}
                for question, ways in self.samples.items()
            },
            "splits": {
                name: {part: round(seconds, 3) for part, seconds in parts.items()}
                for name, parts in self.splits.items()
            },
            **{section.name: section.data for section in self.sections},
            "verdicts": list(self.verdicts()),
        }


def overhead(seconds: float, parts: Mapping[str, float]) -> float:
    """Return what a command took beyond the parts that are the service's own."""
    return seconds - sum(parts.values())
