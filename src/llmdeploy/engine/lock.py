"""One writer per environment: the Swarm config object `STACK.lock`, which the cluster lets exist once only.

Its labels say who holds it; the holder rewrites the heartbeat, each time against the version it knows. Whether a
holder still lives is seen by watching the heartbeat change, so that no clock of any host matters.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

from .api import ConflictError, Docker, DockerError, ExistsError, Json, MissingError
from .spec import KIND_LABEL, STACK_LABEL

BEAT_EVERY = 5.0
STALE_AFTER = 15.0


class LockedError(Exception):
    """Somebody else holds the lock and lives; `labels` say who."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        self.labels = labels
        super().__init__(
            f"{labels.get('user', '?')} on {labels.get('host', '?')} is running `{labels.get('action', '?')}` here "
            f"since {labels.get('started', '?')}" + (f" ({labels['reason']})" if labels.get("reason") else "")
        )


class LostError(DockerError):
    """The lock is not ours any more: nothing may be written from now on."""


class Lock:
    """The lock of one stack, held by one job."""

    def __init__(self, docker: Docker, stack: str, labels: Mapping[str, str]) -> None:
        self._docker, self._stack = docker, stack
        self._labels = {**labels, STACK_LABEL: stack, KIND_LABEL: "lock"}
        self._config: Json = {}
        self._beats = 0
        self._last = 0.0

    def take(self) -> Mapping[str, str] | None:
        """Take the lock. Out: None, or the labels of a dead holder it was taken from. Raises LockedError.

        A lock that is held is watched until its holder shows that it lives, at most 15 s.
        """
        while True:
            if self._create():
                return None
            former = self._watch()
            if former is not None:
                return former

    def beat(self) -> None:
        """Show that we live, when it is time to. Raises LostError when the lock is not ours any more."""
        if time.monotonic() - self._last < BEAT_EVERY:
            return
        self._last = time.monotonic()
        try:
            self._write(self._config)
        except ConflictError as problem:
            raise LostError(f"the lock is not ours any more: {problem}") from problem

    def release(self) -> None:
        """Give the lock back; a lock somebody else has taken over is left alone."""
        if not self._config:
            return
        try:
            current = self._docker.config(self._config["ID"])
        except MissingError:
            return
        if current["Spec"]["Labels"].get("job") == self._labels.get("job"):
            self._docker.remove_config(current["ID"])
        self._config = {}

    def _create(self) -> bool:
        try:
            created = self._docker.create_config(f"{self._stack}.lock", b"{}", self._with_beat())
        except ExistsError:
            return False
        self._config, self._last = self._docker.config(created), time.monotonic()
        return True

    def _watch(self) -> Mapping[str, str] | None:
        """Watch the holder. Out: its labels when it is dead and the lock ours, None when it gave it back."""
        held, began = self._find(), time.monotonic()
        while held is not None:
            if held["Spec"]["Labels"].get("job") == self._labels.get("job"):
                if self._inherit(held):
                    return {}
                held = self._find()
                continue
            if time.monotonic() - began > STALE_AFTER:
                try:
                    self._write(held)
                except ConflictError:
                    raise LockedError(held["Spec"]["Labels"]) from None
                former: Mapping[str, str] = held["Spec"]["Labels"]
                return former
            time.sleep(0.5)
            now = self._find()
            if now is not None and now["Version"] != held["Version"]:
                raise LockedError(now["Spec"]["Labels"])
            held = now
        return None

    def _inherit(self, held: Json) -> bool:
        """Take over what our own command took for this job; False when it showed its life at this very moment."""
        try:
            self._write(held)
        except ConflictError:
            return False
        return True

    def _find(self) -> Json | None:
        name = f"{self._stack}.lock"
        return next((item for item in self._docker.configs(self._stack, "lock") if item["Spec"]["Name"] == name), None)

    def _write(self, config: Json) -> None:
        try:
            self._docker.label_config(config, self._with_beat())
            self._config = self._docker.config(config["ID"])
        except MissingError as problem:
            raise ConflictError("the lock was removed by somebody else") from problem
        self._last = time.monotonic()

    def _with_beat(self) -> dict[str, str]:
        self._beats += 1
        return {**self._labels, "heartbeat": str(self._beats)}
