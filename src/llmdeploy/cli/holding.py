"""The lock while the command has it: its heartbeat, until the release engine takes over or somebody else does."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import suppress

from llmdeploy.cluster.history import holder
from llmdeploy.engine import lock as engine
from llmdeploy.engine.api import ConflictError, Docker, DockerError, Json, MissingError
from llmdeploy.errors import LockedError
from llmdeploy.events import Note

HOLDER = "holder"  # a label that the engine's own lock does not have: so our writes are told from the engine's
LAST_BEAT = 3.0  # seconds that the end waits for a heartbeat that is being written


class Hold:
    """What `held` gives; where there is no cluster yet nothing is held, and nobody can take it.

    notes  what the view has to tell: a dead holder that the lock was taken from
    lost   why the lock is not ours any more; empty as long as it is, and once our own engine has it
    """

    def __init__(self) -> None:
        self.notes: list[Note] = []
        self.lost = ""

    def check(self) -> None:
        """Raises LockedError when the lock is lost: nothing may be changed from now on."""
        if self.lost:
            hint = "no service was touched; run it again when the other run has ended"
            raise LockedError(f"the lock was lost before the release began: {self.lost}", hint=hint)

    def end(self) -> None:
        """Gives the lock back, unless the engine has it, or somebody else."""


class Holding(Hold):
    """The lock `config` that was taken with the labels `own`; a thread of its own shows that we live."""

    def __init__(self, docker: Docker, own: Mapping[str, str], config: Json) -> None:
        super().__init__()
        self._docker, self._own, self._config = docker, own, config
        self._beats = int(config["Spec"]["Labels"].get("heartbeat", 0))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Gives the lock back, unless the engine has it, or somebody else."""
        self._over.set()
        self._thread.join(LAST_BEAT)
        if self._thread.is_alive() or not self._config:
            return
        with suppress(DockerError):  # what cannot be given back now is dead in 15 s
            # Only who can write this may remove it: an engine that took over in this moment keeps it.
            self._docker.label_config(self._config, {**self._own, "job": "given back"})
            self._docker.remove_config(self._config["ID"])

    def _live(self) -> None:
        while self._config and not self._over.wait(engine.BEAT_EVERY):
            with suppress(DockerError):  # the way there may be cut for a while
                self._beat()

    def _beat(self) -> None:
        self._beats += 1
        try:
            self._docker.label_config(self._config, {**self._own, "heartbeat": str(self._beats)})
            self._config = self._docker.config(self._config["ID"])
        except (ConflictError, MissingError):
            self._look()

    def _look(self) -> None:
        """Who wrote it? Our engine, or ourselves (the answer was lost on the way): all is well."""
        found = holder(self._docker.configs(self._own["llmdeploy.stack"], "lock"))
        now = found["Spec"]["Labels"] if found else {}
        if found and now.get("job") == self._own["job"]:
            self._config = found if HOLDER in now else {}
            return
        self.lost = str(engine.LockedError(now)) if found else "somebody removed it"
        self._config = {}
