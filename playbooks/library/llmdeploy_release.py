#!/usr/bin/python
"""Ansible module: start the release engine on a manager, detached."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

try:
    from ansible.module_utils.engine import run as engine
except ImportError as problem:  # the engine itself is shipped with this module
    NO_DOCKER = str(problem)
else:
    NO_DOCKER = ""

DOCUMENTATION = r"""
module: llmdeploy_release
short_description: Starts the release of a stack on a Swarm manager
description:
  - Compares the job with the cluster. Where nothing differs and everything is healthy, runs the verification and
    returns the release's lines at once; no lock, no history, no process.
  - Otherwise makes the job's folder and starts the release engine as a process of its own, which survives the end of
    this module and of the SSH session. Follow it with M(llmdeploy_follow).
options:
  job:
    description: The job, complete (C(job.json) in docs/architecture.md).
    type: dict
    required: true
  pins:
    description: The exact image of each image reference in the job.
    type: dict
    required: true
  force_edge:
    description: Put the edge's configuration on its hosts although the cluster says that they have it.
    type: bool
    default: false
  state_dir:
    description: Where the folders of jobs are kept; the last 20 are.
    type: path
    default: /var/lib/llmdeploy/jobs
  verify:
    description: Whether an unchanged stack is verified, too.
    type: bool
    default: true
requirements: [docker >= 5.0]
author: [llmdeploy]
"""

EXAMPLES = r"""
- name: Start the release
  llmdeploy_release:
    job: "{{ llmdeploy_job }}"
    pins: "{{ llmdeploy_pins }}"
  register: release

- name: Follow the release
  llmdeploy_follow:
    job_dir: "{{ release.job_dir }}"
    viewer: "{{ llmdeploy_viewer }}"
  register: r
  until: r.done
  retries: 100000
  delay: 0
  when: not release.unchanged
"""

RETURN = r"""
unchanged:
  description: Whether there was nothing to do; the engine was not started then.
  type: bool
  returned: always
lines:
  description: The progress lines of a release that had nothing to do; in check mode the line of what it would do.
  type: list
  elements: dict
  returned: when unchanged, or in check mode
verdict:
  description: How it ended, C(unchanged) or C(unhealthy).
  type: str
  returned: when unchanged
exit:
  description: The exit code that belongs to the verdict.
  type: int
  returned: when unchanged
id:
  description: The job's id.
  type: str
  returned: always
job_dir:
  description: The job's folder on the manager.
  type: str
  returned: when the engine was started
"""


def main() -> None:
    """Compare, then return or start the engine."""
    module = AnsibleModule(
        argument_spec={
            "job": {"type": "dict", "required": True},
            "pins": {"type": "dict", "required": True},
            "force_edge": {"type": "bool", "default": False},
            "state_dir": {"type": "path", "default": "/var/lib/llmdeploy/jobs"},
            "verify": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    if NO_DOCKER:
        module.fail_json(msg=missing_required_lib("docker", reason=NO_DOCKER))
    given, job = module.params, module.params["job"]
    if given["force_edge"]:
        job = {**job, "edge": {**(job.get("edge") or {}), "force": True}}
    try:
        result = _start(job, given["pins"], Path(given["state_dir"]), verify=given["verify"], check=module.check_mode)
    except (engine.DockerError, engine.RefusedError) as problem:
        module.fail_json(msg=str(problem), id=job["id"], unchanged=False)
    except FileExistsError:
        module.fail_json(msg=f"the job {job['id']} was started before: follow it", id=job["id"], unchanged=False)
    module.exit_json(**result)


def _start(job: dict[str, Any], pins: dict[str, str], state_dir: Path, *, verify: bool, check: bool) -> dict[str, Any]:
    result: dict[str, Any] = {"changed": False, "id": job["id"], "unchanged": False}
    if check:
        line = engine.announced(job, pins)
        changed = any(item["action"] != "unchanged" for item in line["services"])
        return {**result, "changed": changed, "unchanged": not changed, "lines": [line]}
    lines = engine.unchanged(job, pins, verify=verify)
    if lines:
        return {**result, "unchanged": True, "lines": lines, "verdict": lines[-1]["verdict"], "exit": lines[-1]["exit"]}
    folder = engine.prepare(state_dir, job, pins)
    engine.spawn(folder)
    return {**result, "job_dir": str(folder)}


if __name__ == "__main__":
    main()
