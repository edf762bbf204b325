"""Four lab hosts, a project that deploys to them, and the way back to no services at all."""

from __future__ import annotations

import json
import shutil
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.timing import FailedRunError, Sample, timed
from tests.lab import Host, Lab
from tests.lab.lab import names, together

CHECKOUT = Path(__file__).resolve().parents[1]
HOSTS = ("head", "model-proxy", "tail", "ui")
MANAGER = "head"
ENVIRONMENT = "staging"
EMPTY_DEADLINE = 90.0
CHAT = b'{"model": "demo", "messages": [{"role": "user", "content": "Say hello"}]}'
CLI = "import sys; from llmdeploy.cli.main import main; sys.exit(main())"


@dataclass(frozen=True)
class Stage:
    """The lab and the folders of one measurement."""

    lab: Lab
    folder: Path

    @property
    def project(self) -> Path:
        """The project folder: the repository's own catalogue, and the lab's hosts as its inventory."""
        return self.folder / "project"

    @property
    def inventory(self) -> Path:
        """The inventory, the same for llmdeploy and for the hand-written playbook."""
        return self.project / "inventory" / f"{ENVIRONMENT}.ini"

    @property
    def manager(self) -> Host:
        """A manager of the Swarm."""
        return self.lab[MANAGER]

    def arguments(self, *words: str) -> list[str]:
        """Return the arguments of llmdeploy for an action on the lab."""
        return [ENVIRONMENT, *words, "--project", str(self.project)]

    def llmdeploy(self, *words: str, good: tuple[int, ...] = (0,)) -> Sample:
        """Run llmdeploy as a whole process, with this interpreter."""
        return timed([sys.executable, "-c", CLI, *self.arguments(*words)], env=self.environment, good=good)

    @property
    def environment(self) -> dict[str, str]:
        """What llmdeploy's processes see beyond this one's: where the code is, and a place for logs."""
        return {"PYTHONPATH": str(CHECKOUT / "src"), "XDG_STATE_HOME": str(self.folder / "state")}

    @property
    def inside_environment(self) -> dict[str, str]:
        """The same for `benchmarks.inside`, which is found from the checkout."""
        return {**self.environment, "PYTHONPATH": f"{CHECKOUT / 'src'}:{CHECKOUT}"}

    def services(self) -> list[dict[str, Any]]:
        """Return Docker's raw services."""
        identities = self.manager.docker("service ls --quiet").stdout.split()
        found: list[dict[str, Any]] = json.loads(self.manager.docker(["service", "inspect", *identities]).stdout)
        return found

    def clear(self) -> None:
        """Remove all services and containers and wait until nothing of them runs any more."""
        if identities := self.manager.docker("service ls --quiet").stdout.split():
            self.manager.docker(["service", "rm", *identities])
        together(_empty, self.lab)
        time.sleep(2)  # networks and tasks are forgotten a moment after the containers

    def chat(self) -> None:
        """Ask for a chat completion through tail-go; without an answer, nothing counts."""
        request = urllib.request.Request(
            f"http://{self.lab['tail'].ip}:8000/v1/chat/completions",
            CHAT,
            {"Authorization": "Bearer demo-key", "Content-Type": "application/json"},
        )
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(request, timeout=20) as answer:
            if not json.load(answer)["choices"][0]["message"]["content"]:
                raise FailedRunError("the chat completion is empty")


def _empty(host: Host) -> None:
    """Remove containers that no service owns, and wait until all are gone."""
    host.exec("docker ps --all --quiet --filter label=config | xargs -r docker rm --force", check=False)
    deadline = time.monotonic() + EMPTY_DEADLINE
    while left := host.docker("ps --all --quiet").stdout.split():
        if time.monotonic() > deadline:
            raise FailedRunError(f"{host.name}: {len(left)} containers do not go")
        time.sleep(0.5)


@contextmanager
def stage(name: str) -> Iterator[Stage]:
    """Start the lab, or use the one that is up; make the project. What was made here is gone at the end."""
    ours = name not in names()
    lab = Lab.up(HOSTS, name=name) if ours else Lab.attach(name)
    try:
        with TemporaryDirectory(prefix="llmdeploy-bench-") as folder:
            found = Stage(lab, Path(folder))
            for part in ("inventory", "environments", "demo", "edge"):
                shutil.copytree(CHECKOUT / part, found.project / part, ignore=shutil.ignore_patterns("__pycache__"))
            found.inventory.write_text(lab.inventory_ini())
            # The figures of earlier versions, which had none, stay comparable.
            (found.project / "environments" / f"{ENVIRONMENT}.yml").write_text("tls: {mode: off}\n")
            yield found
    finally:
        if ours:
            lab.down()
