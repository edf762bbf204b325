"""Signals, and what they mean for a run.

Interruption is a choice, never an accident: on a terminal Ctrl-C asks, a second one stops; SIGTERM follows
`on_interrupt`; a closed terminal detaches. Before the release engine has been started there is nothing to detach
from: then every interruption stops.
"""

from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType, TracebackType
from typing import Any, Literal

Choice = Literal["detach", "stop"]
_SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


@dataclass(frozen=True)
class Policy:
    """What an interruption does once the release engine is at work.

    `ask` puts the question to a person and may be interrupted by KeyboardInterrupt; None where there is nobody to ask.
    `on_interrupt` answers for SIGTERM, and for Ctrl-C when there is nobody to ask.
    """

    ask: Callable[[], Choice] | None = None
    on_interrupt: Literal["abort", "detach"] = "abort"

    def choose(self, number: int) -> Choice:
        """In: the signal. Out: what to do. Asks on Ctrl-C; a second Ctrl-C while asking is "stop"."""
        if number == signal.SIGINT and self.ask is not None:
            try:
                return self.ask()
            except (KeyboardInterrupt, EOFError):
                return "stop"
        if number == getattr(signal, "SIGHUP", None):
            return "detach"  # the laptop was closed: nobody decided anything
        return "stop" if self.on_interrupt == "abort" else "detach"


class Signals:
    """Catches the signals while a run is under way (`with Signals() as signals`), and gives the old handlers back.

    Outside of the main thread Python allows no handlers: then nothing is caught.
    """

    def __init__(self) -> None:
        self._caught: deque[int] = deque()
        self._before: dict[int, Any] = {}
        self._asking = False

    def __enter__(self) -> Signals:
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._catch) for number in _SIGNALS}
        return self

    def __exit__(self, *error: type[BaseException] | BaseException | TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _catch(self, number: int, _frame: FrameType | None) -> None:
        self._caught.append(number)
        if self._asking:
            raise KeyboardInterrupt  # out of the question

    def pending(self) -> bool:
        """Out: has a signal come that nobody has taken yet?"""
        return bool(self._caught)

    def take(self) -> int | None:
        """Out: the oldest signal not taken yet."""
        return self._caught.popleft() if self._caught else None

    def choose(self, policy: Policy, number: int) -> Choice:
        """Like `policy.choose`, with a further signal ending the question."""
        self._asking = True
        try:
            return policy.choose(number)
        except KeyboardInterrupt:
            return "stop"
        finally:
            self._asking = False
            self._caught.clear()
