"""Counters and histograms in Prometheus' text format."""

import threading
from bisect import bisect_left
from collections.abc import Iterable

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


def _pairs(names: Iterable[str], values: Iterable[str]) -> str:
    def escape(text: str) -> str:
        return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")

    return ",".join(f'{name}="{escape(value)}"' for name, value in zip(names, values, strict=True))


class Counter:
    """A number per combination of labels that only grows (or, of kind gauge, a constant)."""

    def __init__(self, name: str, about: str, labels: tuple[str, ...], kind: str = "counter") -> None:
        self.name, self.about, self.kind = name, about, kind
        self._labels = labels
        self._values: dict[tuple[str, ...], float] = {}
        self._lock = threading.Lock()

    def inc(self, *values: str, by: float = 1) -> None:
        """Add BY to the series with these label values (by=0 makes the series visible)."""
        with self._lock:
            self._values[values] = self._values.get(values, 0) + by

    def lines(self) -> list[str]:
        """Give the samples."""
        with self._lock:
            items = sorted(self._values.items())
        return [f"{self.name}{{{_pairs(self._labels, values)}}} {number:g}" for values, number in items]


class Histogram:
    """How long something takes, per combination of labels."""

    kind = "histogram"

    def __init__(self, name: str, about: str, labels: tuple[str, ...]) -> None:
        self.name, self.about = name, about
        self._labels = labels
        self._series: dict[tuple[str, ...], tuple[list[int], float]] = {}
        self._lock = threading.Lock()

    def observe(self, *values: str, seconds: float) -> None:
        """Count one duration."""
        with self._lock:
            counts, total = self._series.get(values) or ([0] * (len(SECONDS) + 1), 0.0)
            counts[bisect_left(SECONDS, seconds)] += 1
            self._series[values] = (counts, total + seconds)

    def lines(self) -> list[str]:
        """Give the samples: cumulative buckets, sum and count."""
        with self._lock:
            items = sorted((values, list(counts), total) for values, (counts, total) in self._series.items())
        out = []
        for values, counts, total in items:
            labels, below = _pairs(self._labels, values), 0
            for edge, count in zip((*map(str, SECONDS), "+Inf"), counts, strict=True):
                below += count
                out.append(f'{self.name}_bucket{{{labels}{"," if labels else ""}le="{edge}"}} {below}')
            out += [f"{self.name}_sum{{{labels}}} {total:.6f}", f"{self.name}_count{{{labels}}} {below}"]
        return out


class Metrics:
    """All metrics of this process; asking twice for a name gives the same metric."""

    def __init__(self) -> None:
        self._counters: dict[str, Counter] = {}
        self._histograms: dict[str, Histogram] = {}

    def counter(self, name: str, about: str, *labels: str, kind: str = "counter") -> Counter:
        """Register a counter."""
        return self._counters.setdefault(name, Counter(name, about, labels, kind))

    def histogram(self, name: str, about: str, *labels: str) -> Histogram:
        """Register a histogram."""
        return self._histograms.setdefault(name, Histogram(name, about, labels))

    def text(self) -> str:
        """Render everything for a scrape."""
        out: list[str] = []
        metrics: list[Counter | Histogram] = [*self._counters.values(), *self._histograms.values()]
        for metric in metrics:
            out += [f"# HELP {metric.name} {metric.about}", f"# TYPE {metric.name} {metric.kind}", *metric.lines()]
        return "\n".join(out) + "\n"
