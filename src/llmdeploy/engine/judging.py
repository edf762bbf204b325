"""The condition of a metric check, pure: `<= 0.05 or <= before * 1.5`.

    condition    = conjunction ("or" conjunction)…
    conjunction  = comparison ("and" comparison)…       so `and` binds tighter
    comparison   = ("<=" | ">=" | "==" | "!=" | "<" | ">") side
    side         = number | "before" ["*" number] ["+" number]

`before` is the value when the release began. Where there was none, a comparison with it cannot be made and is left
out: what is left of the condition decides, and where nothing is left the value has not failed. So a new service
is held to `<= 0.05` and not to its past.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_TOKEN = re.compile(r"\s*(<=|>=|==|!=|[<>*+]|[^\s<>=!*+]+|\S)")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:[eE]-?\d+)?")
_HOLDS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le, ">=": operator.ge, "==": operator.eq, "!=": operator.ne, "<": operator.lt, ">": operator.gt,
}  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """`operator factor * before + addend`; without `before` the addend alone."""

    operator: str
    addend: float
    factor: float | None = None

    def holds(self, value: float, before: float | None) -> bool | None:
        """Whether it does, None where there is nothing to compare with."""
        if self.factor is None:
            return _HOLDS[self.operator](value, self.addend)
        if before is None or math.isnan(before):
            return None
        return _HOLDS[self.operator](value, self.factor * before + self.addend)


@dataclass(frozen=True)
class Condition:
    """Alternatives, each of comparisons that must all hold."""

    text: str
    alternatives: tuple[tuple[Comparison, ...], ...]

    @property
    def compares(self) -> bool:
        """Whether it needs to know how it was before."""
        return any(one.factor is not None for comparisons in self.alternatives for one in comparisons)

    def holds(self, value: float, before: float | None = None) -> bool:
        """Whether `value` is as it should be; `before`: None or NaN where it had none."""
        verdicts = [[one.holds(value, before) for one in comparisons] for comparisons in self.alternatives]
        judged = [all(made) for made in ([one for one in row if one is not None] for row in verdicts) if made]
        return any(judged) or not judged


def parse(text: str) -> Condition:
    """The condition that `text` says. Raises ValueError with what is wrong."""
    words = _Words(text)
    alternatives = [_conjunction(words)]
    while words.take("or"):
        alternatives.append(_conjunction(words))
    if words.next:
        raise ValueError(f"{text!r}: nothing may follow here: {words.next}")
    return Condition(" ".join(words.all), tuple(alternatives))


class _Words:
    """The words of a condition, one after the other."""

    def __init__(self, text: str) -> None:
        self.text, self.all = text, list(_split(text))
        self._at = 0

    @property
    def next(self) -> str:
        return self.all[self._at] if self._at < len(self.all) else ""

    def take(self, word: str) -> bool:
        found = self.next == word
        self._at += found
        return found

    def number(self) -> float:
        word = self.next
        if not _NUMBER.fullmatch(word):
            raise ValueError(f"{self.text!r}: a number is missing at {word or 'the end'}")
        self._at += 1
        return float(word)

    def comparing(self) -> str:
        word = self.next
        if word not in _HOLDS:
            raise ValueError(f"{self.text!r}: one of {' '.join(_HOLDS)} is missing at {word or 'the end'}")
        self._at += 1
        return word


def _split(text: str) -> Iterator[str]:
    return (found.group(1) for found in _TOKEN.finditer(text.rstrip()))


def _conjunction(words: _Words) -> tuple[Comparison, ...]:
    comparisons = [_comparison(words)]
    while words.take("and"):
        comparisons.append(_comparison(words))
    return tuple(comparisons)


def _comparison(words: _Words) -> Comparison:
    sign = words.comparing()
    if not words.take("before"):
        return Comparison(sign, words.number())
    factor = words.number() if words.take("*") else 1.0
    return Comparison(sign, words.number() if words.take("+") else 0.0, factor)
