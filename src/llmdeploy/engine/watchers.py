"""What a release tells the monitoring: a silence for what changes, and marks. Beside the work, and never in its way."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, wait
from concurrent.futures.thread import ThreadPoolExecutor
from typing import Any

from . import markers, silences
from .compare import Comparison
from .peers import PATIENCE, Peer, PeerError, peer_of
from .progress import Progress, harmless

ALERTMANAGER, LOKI = "alertmanager", "loki"
LONGEST = 2 * PATIENCE  # seconds that the end of a release waits for them


class Watchers:
    """Tells Alertmanager and Loki of one release. What cannot be told is a note, and nothing else."""

    def __init__(self, job: Mapping[str, Any], number: int, found: Comparison, progress: Progress) -> None:
        """`number`: of the release, 0 for one that is not recorded; `found`: what it changes."""
        self._job, self._number, self._progress = job, number, progress
        self._services, self._began = found.changed, time.monotonic()
        self._new = {unit.name for unit in found.units.values() if unit.action == "create"}
        self._pool: ThreadPoolExecutor | None = None
        self._silence: Future[str] | None = None
        self._told: list[Future[Any]] = []

    def begin(self) -> None:
        """Say that the release begins; waits for nothing. Nothing is said of a release that changes nothing."""
        if not self._services:
            return
        self._pool = ThreadPoolExecutor(2)
        alertmanager, loki = self._there(ALERTMANAGER), self._there(LOKI)
        if alertmanager:
            self._silence = self._pool.submit(silences.begin, alertmanager, self._wanted_silence())
        if loki:
            self._push(loki, "started", self._services)

    def end(self, verdict: str, services: Sequence[str], taken_back_to: int | None) -> None:
        """Say how it ended and end the silence; waits a few seconds at most.

        services       those that it has changed
        taken_back_to  the release that everything is back on, where it was taken back
        """
        if self._pool is None:
            return
        loki, alertmanager = peer_of(self._job, LOKI), peer_of(self._job, ALERTMANAGER)
        if loki and not (LOKI in self._new and verdict != "done"):
            back = {} if taken_back_to is None else {"taken_back_to": taken_back_to}
            seconds = round(time.monotonic() - self._began, 1)
            self._push(loki, "ended", services, result=verdict, seconds=seconds, **back)
        if alertmanager and self._silence:
            self._told.append(self._pool.submit(self._unsilence, alertmanager, self._silence))
        done, late = wait(self._told, LONGEST)
        problems = [str(one.exception()) for one in self._told if one in done and one.exception()]
        problems += [f"no answer within {LONGEST:g} s"] if late else []
        for text in dict.fromkeys(problems):
            self._progress.write("note", level="warning", text=harmless(f"the monitoring was not told: {text}"))
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _there(self, name: str) -> Peer | None:
        """A part that is not only coming up with this very release."""
        return None if name in self._new else peer_of(self._job, name)

    def _wanted_silence(self) -> Any:
        by = self._job.get("by") or {}
        who = str(by.get("user") or "llmdeploy")
        what = f"{self._job.get('action', '')} of release {self._number}" if self._number else "a release"
        comment = f"llmdeploy: {what} in {self._job.get('environment', '')} by {who}"
        return silences.silence(self._services, float(self._job.get("deadline") or 900.0), who, comment)

    def _push(self, loki: Peer, state: str, services: Sequence[str], **more: Any) -> None:
        marks = markers.mark(self._job, state, release=self._number, services=list(services), **more)
        self._submit(lambda: markers.push(loki, marks))

    def _submit(self, work: Callable[[], None]) -> None:
        assert self._pool is not None  # noqa: S101 (made by begin)
        self._told.append(self._pool.submit(work))

    @staticmethod
    def _unsilence(alertmanager: Peer, silence: Future[str]) -> None:
        """End the silence, when it is known what it is called. Raises PeerError."""
        name = silence.result()
        try:
            silences.end(alertmanager, name)
        except PeerError as problem:
            raise PeerError(f"{problem} (the silence ends by itself)") from None
