#!/usr/bin/python
"""Ansible module: remove what no kept release needs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote

from ansible.module_utils.basic import AnsibleModule, missing_required_lib
from ansible.module_utils.engine.host import Engine, EngineError
from ansible.module_utils.engine.host_prune import BROUGHT, still_here, superfluous

try:
    from ansible.module_utils.engine import prune
    from ansible.module_utils.engine.api import Docker, DockerError
except ImportError as problem:  # the Docker SDK is on managers only
    NO_DOCKER = str(problem)
else:
    NO_DOCKER = ""

DOCUMENTATION = r"""
module: llmdeploy_prune
short_description: Removes images, Swarm configs and Swarm secrets that no kept release needs
description:
  - C(look) lists the images of a host. What comes later is left alone by C(host).
  - C(manager) reads what kept releases and live services need, and removes superfluous configurations of the edge
    and secrets.
    Nothing is removed while another run changes a stack of the cluster.
  - C(host) removes the images of llmdeploy that are not needed and that no container uses.
options:
  state:
    description: Which of the three.
    type: str
    choices: [look, manager, host]
    required: true
  stack:
    description: With C(manager), the stack whose configurations are removed.
    type: str
  job:
    description: With C(manager), the run that holds the lock for this; empty where none does.
    type: str
    default: ""
  name:
    description: What the host is called in messages.
    type: str
    required: true
  must:
    description: Whether a problem fails the task; else it is told in a note.
    type: bool
    default: true
  needed:
    description: With C(host), what C(manager) gave.
    type: dict
  seen:
    description: With C(host), what C(look) gave; without it every image is looked at.
    type: list
    elements: str
requirements: [docker >= 5.0 on managers]
author: [llmdeploy]
"""

EXAMPLES = r"""
- name: See which images there are
  llmdeploy_prune:
    state: look
    name: "{{ inventory_hostname }}"
  register: seen

- name: Read what releases need
  llmdeploy_prune:
    state: manager
    stack: llm
    name: head-server
  register: wanted
  delegate_to: head-server
  run_once: true

- name: Remove the others
  llmdeploy_prune:
    state: host
    needed: "{{ wanted.needed }}"
    seen: "{{ seen.images }}"
    name: "{{ inventory_hostname }}"
"""

RETURN = r"""
images:
  description: The ids of all images.
  returned: with look
  type: list
busy:
  description: Who changes a stack of the cluster; empty where nobody does.
  returned: with manager
  type: str
needed:
  description: What is needed.
  returned: with manager
  type: dict
configs:
  description: The names of the config objects that were removed.
  returned: with manager
  type: list
removed:
  description: The images that were removed, each with C(id), C(names) and C(size).
  returned: with host
  type: list
bytes:
  description: The room that this made on the host's disk.
  returned: with host
  type: int
lines:
  description: What somebody should know, as progress lines.
  returned: always
  type: list
"""


def look() -> dict[str, Any]:
    """The images that are here."""
    return {"images": [image["Id"] for image in Engine().call("GET", "/images/json")]}


def manager(stack: str, job: str) -> dict[str, Any]:
    """What is needed; configurations of the edge and secrets that are not are removed."""
    docker = Docker(patience=10.0)
    found = prune.read(docker, stack, job)
    gone = [] if found["busy"] else prune.remove_configs(docker, found["configs"])
    secrets = [] if found["busy"] else prune.remove_secrets(docker, found["secrets"])
    note = f"nothing is tidied up: {found['busy']}" if found["busy"] else ""
    return {**found, "configs": gone, "secrets": secrets, "changed": bool(gone or secrets), "lines": _lines(note)}


def host(needed: dict[str, Any], seen: list[str] | None, name: str) -> dict[str, Any]:
    """Remove the images that are not needed."""
    engine, record = Engine(timeout=120), Path(BROUGHT)
    images = engine.call("GET", "/images/json")
    brought = record.read_text(encoding="utf-8").split() if record.exists() else []
    found = superfluous(images, engine.call("GET", "/containers/json?all=1"), needed, brought)
    if not found:
        return {"removed": [], "bytes": 0, "lines": []}
    root = engine.call("GET", "/info")["DockerRootDir"]
    before = shutil.disk_usage(root).free
    removed = [image for image in found if (seen is None or image["id"] in seen) and _remove(engine, image)]
    size = max(shutil.disk_usage(root).free - before, 0)
    left = engine.call("GET", "/images/json")
    if brought:
        record.write_text("".join(f"{line}\n" for line in still_here(brought, left)), encoding="utf-8")
    many = "1 image" if len(removed) == 1 else f"{len(removed)} images"
    note = f"{name}: removed {many} that no release needs, {size / 1e6:.0f} MB" if removed else ""
    return {"removed": removed, "bytes": size, "changed": bool(removed), "lines": _lines(note)}


def _remove(engine: Engine, image: dict[str, Any]) -> bool:
    """Remove an image by all its names. Docker refuses what a container has begun to use meanwhile."""
    try:
        for name in image["names"] or [image["id"]]:
            _delete(engine, name)
    except EngineError:
        return False
    return engine.get(f"/images/{image['id']}/json") is None


def _delete(engine: Engine, name: str) -> None:
    try:
        engine.call("DELETE", f"/images/{quote(name, safe='/:@')}")
    except EngineError as error:
        if error.status != 404:  # its last tag took the digest with it
            raise


def _lines(note: str, level: str = "info") -> list[dict[str, Any]]:
    return [{"kind": "note", "level": level, "text": note}] if note else []


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "required": True, "choices": ["look", "manager", "host"]},
            "stack": {"type": "str"},
            "job": {"type": "str", "default": ""},
            "name": {"type": "str", "required": True},
            "must": {"type": "bool", "default": True},
            "needed": {"type": "dict"},
            "seen": {"type": "list", "elements": "str"},
        },
        required_if=[("state", "manager", ["stack"]), ("state", "host", ["needed"])],
    )
    given = module.params
    if given["state"] == "manager" and NO_DOCKER:
        _give_up(module, missing_required_lib("docker", reason=NO_DOCKER))
    refused = (EngineError, OSError) if NO_DOCKER else (EngineError, OSError, DockerError)
    try:
        result = _carry_out(given)
    except refused as problem:
        _give_up(module, str(problem))
    if result.get("busy") and given["must"]:
        module.fail_json(msg=result["busy"])
    module.exit_json(**{"changed": False, "lines": [], **result})


def _give_up(module: AnsibleModule, problem: str) -> NoReturn:
    if module.params["must"]:
        module.fail_json(msg=problem)
    module.exit_json(changed=False, lines=_lines(f"{module.params['name']}: not tidied up: {problem}", "warning"))


def _carry_out(given: dict[str, Any]) -> dict[str, Any]:
    if given["state"] == "look":
        return look()
    if given["state"] == "manager":
        return manager(given["stack"], given["job"])
    return host(given["needed"], given["seen"], given["name"])


if __name__ == "__main__":
    main()
