"""`start()`: one run of a playbook, its events as ours, until it ends or somebody ends it."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from llmdeploy.events import Event, Note
from llmdeploy.run.environment import private_places
from llmdeploy.run.interrupt import Policy, Signals
from llmdeploy.run.live import Lines, Live, Told
from llmdeploy.run.log import RunLog
from llmdeploy.run.outcome import RunOutcome, Status, outcome
from llmdeploy.run.processes import close_masters, end_family
from llmdeploy.run.translate import Translator
from llmdeploy.run.worker import Done, Worker

_TICK = 0.1
_ENGINE_START_PATIENCE = 10.0  # detaching waits until the engine stands on its own feet
_LAST_WORDS = 10.0  # for ansible-runner to notice that its child is gone


def start(
    run_dir: Path,
    playbook: Path,
    *,
    inventory: Path,
    env: Mapping[str, str],
    on_event: Callable[[Event], None],
    deadline: float,
    policy: Policy | None = None,
    request_stop: Callable[[], bool] | None = None,
    check: Callable[[], None] | None = None,
    live: Callable[[], Lines] | None = None,
    stop_patience: float = 60.0,
    targets: Mapping[str, str] | None = None,
    redact: Callable[[str], str] = str,
    log: RunLog | None = None,
) -> RunOutcome:
    """Runs `playbook` and returns when it has ended, one way or another; no child process is left then.

    run_dir       fresh and private, with everything the playbook needs in files; removing it is the caller's job
    env           of `child_environment`
    on_event      gets every event, in the calling thread, redacted; what it raises goes into the log only
    deadline      seconds from now for the whole run
    policy        what an interruption does; caught only when called from the main thread
    request_stop  tells the release engine to stop, or never to begin, and whether it had begun (called in a thread of
                  its own while the engine is at work); None: there is no engine
    check         asked again and again until the engine has been started: what it raises ends the run and comes out
    live          follows the engine once it is at work (iterated in a thread of its own, ended by its `close`): what it
                  tells is shown at once, and again by nobody when the playbook's own follower tells it later
    stop_patience seconds to go on following after a deadline has stopped the engine
    targets       host → what ssh is told, for messages
    """
    control_dir = Path(tempfile.mkdtemp(prefix="lld-", dir="/tmp"))  # short; private by mkdtemp
    queue: SimpleQueue[Any] = SimpleQueue()
    stdout = log.ansible if log else _nowhere
    worker = Worker(run_dir, playbook, inventory, {**env, **private_places(run_dir, control_dir)}, stdout, queue)
    seen = Translator(targets or {}, timeout=int(env.get("ANSIBLE_TIMEOUT", "5")), redact=redact)
    following = Live(live, queue, lambda error: stdout(f"not followed live: {error!r}\n")) if live else None
    run = _Run(worker, seen, on_event, policy or Policy(), request_stop, check, redact, log, following)
    try:
        with Signals() as signals:
            return run.follow(signals, deadline, stop_patience)
    finally:
        run.end(lambda: True)
        close_masters(control_dir)
        shutil.rmtree(control_dir, ignore_errors=True)


def _nowhere(_text: str) -> None:
    return None


@dataclass
class _Run:
    """The loop: events out of the queue, signals, the deadline."""

    worker: Worker
    seen: Translator
    on_event: Callable[[Event], None]
    policy: Policy
    request_stop: Callable[[], bool] | None
    check: Callable[[], None] | None
    redact: Callable[[str], str]
    log: RunLog | None
    live: Live | None = None
    _forced: Status | None = None
    _asked_to_stop: bool = False
    _done: Done | None = None
    _telling: threading.Thread | None = None

    def follow(self, signals: Signals, deadline: float, stop_patience: float) -> RunOutcome:
        """Out: the outcome, after the last event has been handed on. Raises what `check` raises."""
        began = time.monotonic()
        ends = began + deadline
        self.worker.start()
        while self._done is None:
            self._next()
            self._ask_whether_to_go_on(signals)
            number = signals.take()
            if number is not None:
                self._interrupted(number, signals)
            elif time.monotonic() > ends and self._done is None:
                self._late(signals)
                ends = time.monotonic() + stop_patience
        self._hear_out()
        return outcome(
            self.seen,
            forced=self._forced,
            rc=self._done.rc,
            error=self.redact(self._done.error),
            seconds=time.monotonic() - began,
            log_path=self.log.path if self.log else None,
        )

    def _next(self, timeout: float = _TICK) -> None:
        """Hands on one event, if one comes in time."""
        try:
            item = self.worker.queue.get(timeout=timeout)
        except Empty:
            return
        if isinstance(item, Done):
            self._done = item
            return
        for event in self._events(item):
            self._emit(event)
        if self.live is not None and self.seen.engine == "running" and self.seen.end is None:
            self.live.start()

    def _events(self, item: object) -> list[Event]:
        if isinstance(item, Event):
            return [item]
        return self.seen.told(item.line) if isinstance(item, Told) else self.seen.translate(item)

    def _emit(self, event: Event) -> None:
        """A broken view must not end a release: its error goes into the log."""
        try:
            self.on_event(event)
        except Exception:  # noqa: BLE001
            if self.log:
                self.log.ansible(traceback.format_exc())

    # --- endings

    def _ask_whether_to_go_on(self, signals: Signals) -> None:
        """Until the engine has been started. A refusal ends the run as an interruption does: in good order."""
        if self.check is None or self.seen.engine != "no":
            return
        try:
            self.check()
        except Exception:
            self.end(signals.pending)
            raise

    def _interrupted(self, number: int, signals: Signals) -> None:
        if self.seen.engine == "no":
            self._end_as("interrupted", signals)
            self._never_begin()
        elif self._asked_to_stop:
            self._end_as(self._forced if self._forced == "deadline" else "stopping", signals)
        else:
            choice = signals.choose(self.policy, number)
            self._catch_up()
            if self._done is not None or self.seen.end is not None:
                return  # it ended while we asked: nothing is left to choose
            if choice == "stop":
                self._forced = "stopped"
                self._stop_engine(signals)
            else:
                self._wait_for_engine()
                self._end_as("detached", signals)

    def _hear_out(self) -> None:
        """Hands on that the engine could not be told to stop, should that come after everything else."""
        if self._telling is not None:
            self._telling.join(_TICK)
        while not self.worker.queue.empty():
            item = self.worker.queue.get()
            if isinstance(item, Event):
                self._emit(item)

    def _catch_up(self) -> None:
        """Hands on what has come while a person was asked."""
        while self._done is None and not self.worker.queue.empty():
            self._next()

    def _late(self, signals: Signals) -> None:
        """The deadline: like a stop; when even that takes too long nobody waits any more."""
        first, self._forced = self._forced != "deadline" and not self._asked_to_stop, "deadline"
        if self.seen.engine == "no":
            self._end_as("deadline", signals)
            self._never_begin()
        elif not first:
            self._end_as("deadline", signals)
        else:
            self._stop_engine(signals)

    def _stop_engine(self, signals: Signals) -> None:
        """The engine takes the release back in good order and its end line ends the playbook: go on following."""
        self._asked_to_stop = True
        if self.request_stop is None:
            self._end_as(self._forced or "stopped", signals)
            return
        told = "stopping: the release engine has been told and takes it back; once more to leave it alone with that"
        self._emit(Note("warning", told))
        self._telling = threading.Thread(target=self._tell_engine, args=(self.request_stop,), daemon=True)
        self._telling.start()

    def _never_begin(self) -> None:
        """Makes sure of what is said after the end: what Ansible had sent to the manager may still start the engine."""
        if self.request_stop is None:
            return
        really: Status
        try:
            if not self.request_stop():
                return
            really = "stopping"
            self._emit(Note("warning", "the release had begun in this moment; its engine has been told to stop"))
        except Exception as error:  # noqa: BLE001
            really = "unsure"
            self._emit(Note("error", self.redact(f"the manager could not be told to begin no release: {error}")))
        if self._forced == "interrupted":
            self._forced = really

    def _tell_engine(self, request_stop: Callable[[], bool]) -> None:
        try:
            request_stop()
        except Exception as error:  # noqa: BLE001
            self.worker.queue.put(Note("error", self.redact(f"the release engine could not be told to stop: {error}")))

    def _wait_for_engine(self) -> None:
        until = time.monotonic() + _ENGINE_START_PATIENCE
        while self.seen.engine == "starting" and self._done is None and time.monotonic() < until:
            self._next()

    def _end_as(self, status: Status, signals: Signals) -> None:
        if self._done is None:
            self._forced = status
            self.end(signals.pending)

    def end(self, hurry: Callable[[], bool]) -> None:
        """Ends ansible-playbook and everything it has started; nothing to do when it has ended by itself."""
        if self.live is not None:
            self.live.close()
        if self._done is not None:
            return
        if self.seen.pid:
            end_family(self.seen.pid, hurry=hurry)
        self.worker.cancelled = True
        until = time.monotonic() + _LAST_WORDS
        while self._done is None and time.monotonic() < until:
            with contextlib.suppress(KeyboardInterrupt):
                self._next()
        self._done = self._done or Done(None, "ansible-runner did not come back")
