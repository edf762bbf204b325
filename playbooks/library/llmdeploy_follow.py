#!/usr/bin/python
"""Ansible module: return what is new in the progress of a release."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.engine.progress import follow

DOCUMENTATION = r"""
module: llmdeploy_follow
short_description: Follows the release engine
description:
  - Returns the progress lines this viewer has not seen, as soon as the release has ended, or after O(wait) seconds.
  - Only looks; never reports a change. Use it with C(until).
options:
  job_dir:
    description: The job's folder, from M(llmdeploy_release).
    type: path
    required: true
  viewer:
    description: Who looks. Each viewer gets each line once.
    type: str
    required: true
  wait:
    description: For how many seconds to gather lines.
    type: float
    default: 5.0
author: [llmdeploy]
"""

EXAMPLES = r"""
- name: Follow the release
  llmdeploy_follow:
    job_dir: "{{ release.job_dir }}"
    viewer: "{{ llmdeploy_viewer }}"
  register: r
  until: r.done
  retries: 100000
  delay: 0
"""

RETURN = r"""
lines:
  description: The new progress lines.
  type: list
  elements: dict
  returned: always
done:
  description: Whether the release has ended, or its engine has died.
  type: bool
  returned: always
verdict:
  description: How it ended; empty before.
  type: str
  returned: always
exit:
  description: The exit code that belongs to the verdict, -1 before.
  type: int
  returned: always
"""


def main() -> None:
    """Gather news and return it."""
    module = AnsibleModule(
        argument_spec={
            "job_dir": {"type": "path", "required": True},
            "viewer": {"type": "str", "required": True},
            "wait": {"type": "float", "default": 5.0},
        },
        supports_check_mode=True,
    )
    folder = Path(module.params["job_dir"])
    if not folder.is_dir():
        module.fail_json(
            msg=f"there is no job {folder.name} on this host", lines=[], done=True, verdict="failed", exit=1
        )
    lines: list[dict[str, Any]] = []
    end: dict[str, Any] = {}
    until = time.monotonic() + module.params["wait"]
    while not end and (left := until - time.monotonic()) > 0:
        lines += follow(folder, module.params["viewer"], left)
        end = next((line for line in lines if line["kind"] == "end"), {})
    end = end or {"verdict": "", "exit": -1}
    module.exit_json(changed=False, lines=lines, done=bool(end["verdict"]), verdict=end["verdict"], exit=end["exit"])


if __name__ == "__main__":
    main()
