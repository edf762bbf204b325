"""One metric check of a release: asked several times, each time about every series, without waiting for anything."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any

from .judging import Condition, parse
from .peers import Peer, PeerError, RefusedError
from .progress import harmless
from .prometheus import Labels, ask, filled, named

MOST_NAMED = 3  # series that failed, in one text


@dataclass(frozen=True)
class MetricCheck:
    """A check of the job (`verify.metrics`); times in seconds."""

    name: str
    query: str
    condition: Condition
    interval: float
    count: int
    failure_limit: int
    initial_delay: float
    no_data_fails: bool

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> MetricCheck:
        """From the job. Raises ValueError where its condition is none."""
        return cls(
            name=str(given["name"]),
            query=str(given["query"]),
            condition=parse(str(given["success"])),
            interval=float(given.get("interval", 10.0)),
            count=int(given.get("count", 3)),
            failure_limit=int(given.get("failure_limit", 0)),
            initial_delay=float(given.get("initial_delay", 15.0)),
            no_data_fails=given.get("on_no_data") == "fail",
        )

    @property
    def longest(self) -> float:
        """Seconds from the start of asking until its last question."""
        return self.initial_delay + (self.count - 1) * self.interval


@dataclass(frozen=True)
class Answer:
    """What one question gave: whether it is as it should be, in words, and how long it took."""

    ok: bool
    text: str
    ms: float = 0.0
    refused: bool = False  # Prometheus understands the query no better next time


@dataclass
class Asking:
    """A check that is under way: `turn` brings it on, `answers` is what has come so far.

    services  what `$services` stands for
    since     when they came up (Unix time), where `$window` begins
    began     when the release began (Unix time), which is what `before` is about
    """

    check: MetricCheck
    peer: Peer | None
    services: Collection[str]
    since: float
    began: float
    start: float = field(default_factory=time.monotonic)
    answers: list[Answer] = field(default_factory=list)
    _asked: Future[Answer] | None = None

    @property
    def failures(self) -> list[Answer]:
        """The questions that failed."""
        return [one for one in self.answers if not one.ok]

    @property
    def failed(self) -> bool:
        """Whether more questions have failed than may."""
        return len(self.failures) > self.check.failure_limit

    @property
    def over(self) -> bool:
        """Whether there is nothing more to ask."""
        return self.failed or len(self.answers) >= self.check.count

    @property
    def busy(self) -> bool:
        """Whether a question is under way."""
        return self._asked is not None

    def turn(self, pool: Executor) -> None:
        """Take the answer that has come, and ask when it is time."""
        if self._asked is not None and self._asked.done():
            self.answers.append(self._asked.result())
            self._asked = None
        if self.over or self.busy:
            return
        if self.peer is None:
            self.answers += [self._nothing("there is no Prometheus here")] * self.check.count
        elif time.monotonic() >= self.start + self.check.initial_delay + len(self.answers) * self.check.interval:
            self._asked = pool.submit(self._question)

    def said(self) -> str:
        """What came of it: the failure that decides, else the last answer."""
        shown = self.failures[-1:] if self.failed else self.answers[-1:]
        text = shown[0].text if shown else "not asked"
        times = f", {len(self.failures)} of {self.check.count} times" if self.failures else ""
        return f"{text}{times}"

    def _question(self) -> Answer:
        began = time.monotonic()
        try:
            answer = self._judged()
        except PeerError as problem:
            answer = self._nothing(str(problem), refused=isinstance(problem, RefusedError))
        ms = round((time.monotonic() - began) * 1000, 1)
        return Answer(answer.ok, harmless(answer.text), ms, answer.refused)

    def _judged(self) -> Answer:
        assert self.peer is not None  # noqa: S101 (only then it is asked)
        query = filled(self.check.query, self.services, time.time() - self.since)
        values = ask(self.peer, query)
        before = _numbers(ask(self.peer, query, self.began)) if values and self.check.condition.compares else {}
        numbers = _numbers(values)
        wrong = [one for one, value in numbers.items() if not self.check.condition.holds(value, before.get(one))]
        if wrong:
            return Answer(False, self._told(wrong, numbers, before))
        if len(numbers) < len(values) or not numbers:
            return self._nothing("")
        return Answer(True, self._told(list(numbers), numbers, before))

    def _nothing(self, reason: str, *, refused: bool = False) -> Answer:
        return Answer(not self.check.no_data_fails, f"has no data{f' ({reason})' if reason else ''}", refused=refused)

    def _told(self, shown: list[Labels], values: Mapping[Labels, float], before: Mapping[Labels, float]) -> str:
        """`of tail-go is 0.31 (wanted <= 0.05 or <= before * 1.5; before: 0.002)`, the highest first."""
        shown = sorted(shown, key=lambda one: -values[one])
        told = []
        for one in shown[:MOST_NAMED]:
            was = f"; before: {_number(before[one])}" if one in before else ""
            was = was or ("; before: no data" if self.check.condition.compares else "")
            name = f"of {named(one)} " if named(one) else ""
            told.append(f"{name}is {_number(values[one])} (wanted {self.check.condition.text}{was})")
        more = len(shown) - MOST_NAMED
        return " and ".join([*told, *([f"{more} more"] if more > 0 else [])])


def _numbers(values: Mapping[Labels, float]) -> dict[Labels, float]:
    return {series: value for series, value in values.items() if not math.isnan(value)}


def _number(value: float) -> str:
    return f"{value:.4g}"
