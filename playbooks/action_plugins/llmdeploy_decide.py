"""Decide what there is to do, from what was read on all hosts; refuse when something is in the way."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase

from llmdeploy.engine import host_todo

VARIABLES = (
    "stack", "managers", "builder", "images", "edge", "network", "swarm", "docker", "requirements", "allow", "full",
)  # fmt: skip


class ActionModule(ActionBase):
    """Result: `problems` of all hosts, and the fact `llmdeploy_decided`. Fails when one of the problems is an error.

    Used once for all hosts, with its fact kept by the first of them (playbooks/group_vars/all.yml).
    """

    _VALID_ARGS: frozenset[str] = frozenset()

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Collect, decide, and say all problems at once."""
        super().run(tmp, task_vars)
        todo = host_todo.decide(self._site(task_vars or {}))
        problems = todo.pop("problems")
        result = {"changed": False, "problems": problems, "ansible_facts": {"llmdeploy_decided": todo}}
        if any(problem["level"] == "error" for problem in problems):
            result.update(failed=True, msg=_text(problems))
        return result

    def _site(self, task_vars: Mapping[str, Any]) -> host_todo.Site:
        hosts = {name: task_vars["hostvars"][name] for name in task_vars["groups"]["all"]}
        variables = {f"llmdeploy_{key}": self._plain(task_vars, f"llmdeploy_{key}") for key in VARIABLES}
        probes = {arch: _sha256(path) for arch, path in self._plain(task_vars, "llmdeploy_probe").items()}
        facts = {name: host["preflight_look"]["facts"] for name, host in hosts.items() if "preflight_look" in host}
        return host_todo.Site(facts, hosts, variables, probes)

    def _plain(self, task_vars: Mapping[str, Any], name: str) -> Any:
        return self._templar.template(task_vars.get(name))


def _sha256(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def _text(problems: list[dict[str, str]]) -> str:
    errors = sum(problem["level"] == "error" for problem in problems)
    title = f"{errors} problem{'s' if errors > 1 else ''} in the way; nothing was changed:"
    lines = [
        f"  {problem['host']}: {problem['message']}{'' if problem['level'] == 'error' else ' (warning)'}"
        + (f"\n      → {problem['hint']}" if problem["hint"] else "")
        for problem in problems
    ]
    return "\n".join([title, *lines])
