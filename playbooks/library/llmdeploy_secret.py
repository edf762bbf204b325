#!/usr/bin/python
"""Ansible module: place secrets and configuration files in the cluster."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from ansible.module_utils.basic import AnsibleModule, missing_required_lib

try:
    from ansible.module_utils.engine.api import Docker, DockerError, ExistsError
    from ansible.module_utils.engine.spec import KIND_LABEL, STACK_LABEL
except ImportError as problem:
    NO_DOCKER = str(problem)
else:
    NO_DOCKER = ""

DOCUMENTATION = r"""
module: llmdeploy_secret
short_description: Places secrets and configuration files in a Swarm
description:
  - Creates the Swarm secrets and configs that are not there.
  - Their names change with their content, so none is ever replaced.
  - Use it with C(no_log). It does not fail but gives C(problem), which holds no secret, for a task that tells it.
options:
  stack:
    description: The stack they belong to.
    type: str
    required: true
  secrets:
    description: Name to value.
    type: dict
    default: {}
  configs:
    description: Name of a configuration file to its content.
    type: dict
    default: {}
requirements: [docker >= 5.0]
author: [llmdeploy]
"""

EXAMPLES = r"""
- name: Place the secrets
  llmdeploy_secret:
    stack: llm
    secrets: "{{ lookup('ansible.builtin.file', llmdeploy_secrets_file) | from_json }}"
  no_log: true
  register: placed
"""

RETURN = r"""
placed:
  description: Names of those that were created.
  type: list
  elements: str
  returned: always
problem:
  description: Why they could not be placed; empty when they could.
  type: str
  returned: always
"""


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "stack": {"type": "str", "required": True},
            "secrets": {"type": "dict", "default": {}, "no_log": True},
            "configs": {"type": "dict", "default": {}},
        },
        supports_check_mode=True,
    )
    if NO_DOCKER:
        module.exit_json(placed=[], problem=missing_required_lib("docker", reason=NO_DOCKER))
    given = module.params
    try:
        placed, problem = _place(given, check=module.check_mode), ""
    except DockerError as error:
        placed, problem = [], str(error)
    module.exit_json(changed=bool(placed), placed=placed, problem=problem)


def _place(given: dict[str, Any], *, check: bool) -> list[str]:
    docker = Docker(patience=10.0)
    there, kinds = docker.ids(), {"secret": docker.create_secret, "config": docker.create_config}
    placed = []
    for kind, create in kinds.items():
        lacking = [name for name in given[f"{kind}s"] if name not in there[f"{kind}s"]]
        for name in [] if check else lacking:
            labels = {STACK_LABEL: given["stack"], KIND_LABEL: "secret" if kind == "secret" else "file"}
            with suppress(ExistsError):  # placed in this moment by another run; for the same name the same content
                create(name, str(given[f"{kind}s"][name]).encode(), labels)
        placed += lacking
    return placed


if __name__ == "__main__":
    main()
