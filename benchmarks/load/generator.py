"""Sends on schedule, whatever becomes of what was sent before: a stall shows in the latencies of all that were due."""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.load.asks import Ask, of_kind
from benchmarks.load.lost import LostError
from benchmarks.load.rpc import Rpc
from benchmarks.load.tally import Loss, Tally
from benchmarks.load.web import Web

LIMIT = 30.0  # seconds; an answer that takes longer is lost


@dataclass(frozen=True)
class Plan:
    """What to send: requests a second of each kind, in turn to all hosts and all requests of that kind."""

    hosts: Sequence[str]
    rates: Mapping[str, float]
    services: Sequence[str] = ()

    def asks(self, kind: str) -> list[tuple[str, Ask]]:
        """Return every pair of a host and a request of that kind."""
        return [(host, ask) for host in self.hosts for ask in of_kind(kind, self.services)]


@dataclass
class Generator:
    """One load, from its first request until it is told to stop."""

    plan: Plan
    tally: Tally = field(default_factory=Tally)
    say: Callable[[Loss], None] = lambda _: None
    _pacers: list[asyncio.Task[None]] = field(default_factory=list)

    def stop(self) -> None:
        """Send nothing more; what is under way may end."""
        for pacer in self._pacers:
            pacer.cancel()

    async def run(self, seconds: float = float("inf")) -> Tally:
        """Send until told to stop, or for so long; then wait for the answers that are missing."""
        self._web, self._rpc = Web(), Rpc()
        self._mark = uuid.uuid4().hex[:6]
        self._wall, cpu = time.time() - time.monotonic(), time.process_time()
        self._numbers = itertools.count(1)
        async with asyncio.TaskGroup() as group:
            for kind, rate in self.plan.rates.items():
                if rate > 0 and self.plan.asks(kind):
                    self._pacers.append(group.create_task(self._pace(group, kind, rate, seconds)))
        await self._web.close()
        await self._rpc.close()
        self.tally.cpu = time.process_time() - cpu
        return self.tally

    async def _pace(self, group: asyncio.TaskGroup, kind: str, rate: float, seconds: float) -> None:
        turns = itertools.cycle(self.plan.asks(kind))
        began = time.monotonic()
        for number in itertools.count():
            due = began + number / rate
            if number / rate >= seconds:  # not due - began, which the clock's own size rounds
                return
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            group.create_task(self._one(*next(turns), due))

    async def _one(self, host: str, ask: Ask, due: float) -> None:
        late = time.monotonic() - due
        number = f"load-{self._mark}-{next(self._numbers)}"
        client = self._web if ask.kind in ("http", "sse") else self._rpc
        try:
            async with asyncio.timeout(LIMIT):
                await client.ask(host, ask, number)
            self.tally.answered(ask.kind, due + self._wall, time.monotonic() - due, late)
        except (LostError, TimeoutError) as error:
            reason = str(error) or f"no end within {LIMIT:g} s"
            where = f"{host}:{ask.port}"
            loss = Loss(due + self._wall, time.monotonic() - due, ask.kind, ask.name, where, reason, number)
            self.tally.lost(loss, late)
            self.say(loss)


def tell(loss: Loss) -> None:
    """Print a loss at once."""
    clock = time.strftime("%H:%M:%S", time.localtime(loss.at))
    print(
        f"lost {clock} {loss.kind} {loss.name} {loss.where} {loss.number}: {loss.reason}", file=sys.stderr, flush=True
    )
