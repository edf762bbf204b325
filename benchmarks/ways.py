"""The ways of deploying that are compared. Each is a whole process on this side, from its start to its end."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.stage import Stage
from benchmarks.timing import FailedRunError, Sample, timed

HERE = Path(__file__).resolve().parent
PLAYBOOK = HERE / "handwritten"
DEFAULTS, TUNED = "ansible.cfg", "tuned.cfg"
STACK = "bench"
# The longest path through depends_on in the catalogue.
CHAIN = ("model-proxy", "head-go", "gateway", "tail-go", "admin-dashboard")
Way = Callable[[], Sample]


class Prepared:
    """What one deploy of llmdeploy leaves for the other ways: the services' specifications and their image."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.specs: dict[str, dict[str, Any]] = {one["Spec"]["Name"]: one["Spec"] for one in stage.services()}
        self.image = str(self.specs["tail-go"]["TaskTemplate"]["ContainerSpec"]["Image"])

    def ours(self) -> Sample:
        """Deploy by llmdeploy; nothing runs yet."""
        sample = self.stage.llmdeploy("deploy", "--yes", "--plain")
        return replace(sample, parts=parts_of_release(self.stage, sample))

    def ours_again(self) -> Sample:
        """Deploy by llmdeploy; all is as wanted, and no service may be written."""
        before = self._versions()
        sample = self.stage.llmdeploy("deploy", "--yes", "--plain")
        if self._versions() != before:
            raise FailedRunError(f"a deploy without a change has written a service:\n{sample.output}")
        return sample

    def handwritten(self, settings: str = DEFAULTS) -> Sample:
        """Run the hand-written playbook."""
        with TemporaryDirectory(prefix="cm-") as control:  # no connection of an earlier run is left
            return timed(
                [
                    str(Path(sys.executable).with_name("ansible-playbook")),
                    *("-i", str(self.stage.inventory), "-e", f"image={self.image}", "site.yml"),
                ],
                env={"ANSIBLE_CONFIG": str(PLAYBOOK / settings), "ANSIBLE_SSH_CONTROL_PATH_DIR": control},
                cwd=PLAYBOOK,
            )

    def handwritten_again(self, settings: str = DEFAULTS) -> Sample:
        """Run the hand-written playbook; nothing may change."""
        sample = self.handwritten(settings)
        if set(re.findall(r"changed=(\d+)", sample.output)) != {"0"}:
            raise FailedRunError(f"the hand-written playbook has changed something:\n{sample.output}")
        return sample

    def stack(self) -> Sample:
        """Run `docker stack deploy` on the manager and wait until all is healthy."""
        return self._on_manager("stack", STACK, given=(HERE / "stack.yml").read_text())

    def chain(self) -> Sample:
        """Create the services of the longest chain one by one; the time is the sum, without the way to the manager."""
        sample = self._on_manager("chain", given=json.dumps([self.specs[name] for name in CHAIN]))
        return replace(sample, seconds=sum(sample.parts.values()))

    def first(self) -> dict[str, Way]:
        """Return the ways from no service to all of them healthy."""
        return {"ours": self.ours, "hand-written": self.handwritten, "stack deploy": self.stack, "chain": self.chain}

    def again(self) -> dict[str, dict[str, Way]]:
        """Return, for each way that has it, what a second run is called, and that run."""
        return {
            "ours": {"ours": self.ours_again},
            "hand-written": {
                "hand-written": self.handwritten_again,
                "hand-written, tuned": partial(self.handwritten_again, TUNED),
            },
        }

    def _on_manager(self, *words: str, given: str) -> Sample:
        manager = self.stage.manager
        manager.ssh("cat >/tmp/on_manager.py", input=(HERE / "on_manager.py").read_text())
        remote = f"sudo -n env IMAGE={self.image} python3 /tmp/on_manager.py {' '.join(words)}"
        sample = timed([*manager.ssh_command("deploy"), remote], input=given)
        return replace(sample, parts=json.loads(sample.output.splitlines()[-1]))

    def _versions(self) -> dict[str, int]:
        return {one["Spec"]["Name"]: one["Version"]["Index"] for one in self.stage.services()}


def parts_of_release(stage: Stage, sample: Sample) -> dict[str, float]:
    """Return where a command's time went, from the engine's own progress lines of the newest job on the manager."""
    newest = "cat $(ls -td /var/lib/llmdeploy/jobs/*/ | head -n 1)progress.jsonl"
    lines = [json.loads(line) for line in stage.manager.exec(newest).stdout.splitlines()]
    began, ended = lines[0]["t"], lines[-1]["t"]
    done = {line["name"]: line["t"] - began for line in lines if line["kind"] == "service" and line["state"] == "done"}
    return {
        "until the release engine starts": began - sample.began,
        "release engine": ended - began,
        **{f"  {name} done at": seconds for name, seconds in done.items()},
        "after the release engine": sample.began + sample.seconds - ended,
    }


def install_on_hosts(stage: Stage) -> Prepared:
    """Prepare the hosts by each way once: Docker, Swarm, network, images, files; then nothing runs."""
    stage.llmdeploy("deploy", "--yes", "--plain")
    prepared = Prepared(stage)
    stage.chat()
    stage.clear()
    prepared.handwritten()
    stage.chat()
    stage.clear()
    return prepared
