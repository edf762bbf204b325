"""Give a host the images that it may run and does not have: copied from another host, or pulled by digest."""

from __future__ import annotations

import shlex
import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from llmdeploy.engine.host_images import is_id, lacking
from llmdeploy.engine.host_pipe import PipeError, Place, stream
from llmdeploy.engine.host_prune import BROUGHT


class ActionModule(ActionBase):
    """Arguments: `pins`, `sources` (reference → host that has it), `builder`, `deadline`.

    Result: `copied` and `pulled` (references), `seconds`.
    """

    _VALID_ARGS = frozenset({"pins", "sources", "builder", "deadline"})

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Find out what is missing here, and bring it."""
        super().run(tmp, task_vars)
        task_vars = task_vars or {}
        start, pins, host = time.monotonic(), self._task.args["pins"], task_vars["inventory_hostname"]
        images = [image for image in self._templar.template(task_vars["llmdeploy_images"]) if image["ref"] in pins]
        missing = lacking(host, images, pins, task_vars["preflight_look"]["facts"])
        by_source: dict[str, list[str]] = defaultdict(list)
        for ref in missing:
            by_source[self._task.args["sources"].get(ref, self._task.args["builder"]) if is_id(pins[ref]) else ""] += [
                ref
            ]
        pulled = by_source.pop("", [])
        by_source.pop(host, None)  # made here a moment ago
        for source, refs in by_source.items():
            self._copy(source, refs, task_vars)
        for ref in pulled:
            self._remote(["docker", "pull", "--quiet", pins[ref]], f"pulling {pins[ref]}")
        copied = [ref for refs in by_source.values() for ref in refs]
        self._verify({ref: pins[ref] for ref in copied})
        self._remember([*copied, *(pins[ref] for ref in (*copied, *pulled))])
        seconds = round(time.monotonic() - start, 1)
        return {"changed": bool(copied or pulled), "copied": copied, "pulled": pulled, "seconds": seconds}

    @property
    def _deadline(self) -> float:
        return float(self._task.args.get("deadline", 1200))

    def _copy(self, source: str, refs: list[str], task_vars: Mapping[str, Any]) -> None:
        """One stream for all images from one host: shared layers go once."""
        sender = self._place(source, task_vars["hostvars"][source])
        receiver = self._place(task_vars["inventory_hostname"], task_vars)
        try:
            stream((sender, ["docker", "save", *refs]), (receiver, ["docker", "load"]), self._deadline)
        except PipeError as error:
            names = ", ".join(refs)
            message = f"copying {names} from {sender.name} to {receiver.name} failed: {error}"
            raise AnsibleActionFail(f"{message}\n→ enough disk there? does the same by hand work?") from None

    def _place(self, name: str, variables: Mapping[str, Any]) -> Place:
        become = self._connection.become
        own = variables.get("ansible_become_password") or variables.get("ansible_become_pass")
        password = own or (become.get_option("become_pass") if become else "") or ""
        needs = str(variables.get("ansible_become", become is not None)).lower() in ("true", "yes", "1")
        return Place(name, tuple(variables["llmdeploy_ssh"]), needs, str(password))

    def _verify(self, pins: Mapping[str, str]) -> None:
        """An image keeps its id on the way; where it does not, the two Dockers keep images differently."""
        if not pins:
            return
        answer = self._remote(["docker", "image", "inspect", "--format", "{{.Id}}", *pins], "inspecting new images")
        for (ref, pin), found in zip(pins.items(), answer.split(), strict=False):
            if pin != found:
                hint = "use the same Docker version on all hosts, or take the image from a registry"
                raise AnsibleActionFail(f"{ref} has the id {found} here, but {pin} where it comes from\n→ {hint}")

    def _remember(self, names: list[str]) -> None:
        """Write down what was brought to the host: `llmdeploy_prune` may remove it one day."""
        if names:
            script = 'mkdir -p -m 0700 "${0%/*}" && printf "%s\\n" "$@" >> "$0"'
            self._remote(["sh", "-c", script, BROUGHT, *dict.fromkeys(names)], "noting the new images")

    def _remote(self, command: list[str], doing: str) -> str:
        line = shlex.join(["timeout", str(int(self._deadline)), *command])
        answer = self._low_level_execute_command(line)
        if answer["rc"] != 0:
            said = (answer["stderr"] or answer["stdout"]).strip()[-600:]
            raise AnsibleActionFail(f"{doing} failed (exit {answer['rc']}): {said}")
        return str(answer["stdout"])
