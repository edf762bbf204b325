#!/usr/bin/python
"""Set up what a Swarm of llmdeploy needs: roles and labels of its nodes, and the network."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.engine.host import Engine, EngineError, network_facts
from ansible.module_utils.engine.host_todo import network_differences, new_labels

DOCUMENTATION = r"""
---
module: llmdeploy_cluster
short_description: Set roles and labels of Swarm nodes, and create the network
description:
  - Runs on a manager, once for all nodes.
  - Sets C(group.NAME=yes) for every group of a node and removes other C(group.) labels. Labels of others stay.
  - Makes nodes managers. Never takes that away.
  - Creates the overlay network. One that is there with other settings is an error.
  - Turns autolock on or off. The key stays in the Swarm; it is not asked for here.
options:
  nodes:
    description: The nodes by host name, each with C(id), C(groups) and C(manager).
    type: dict
    required: true
  network:
    description: C(name), C(mtu), C(encrypted) and C(subnet) of the network.
    type: dict
    required: true
  stack:
    description: The stack, for the label of the network.
    type: str
    required: true
  autolock:
    description: Whether managers are locked after a restart of their Docker.
    type: bool
    default: false
  deadline:
    description: Seconds to wait for every node to be ready.
    type: int
    default: 60
author:
  - llmdeploy
"""

EXAMPLES = r"""
- name: Set roles, labels and the network
  llmdeploy_cluster:
    stack: llm
    nodes:
      head-server: {id: 0x1, groups: [head], manager: true}
    network: {name: llm-network, mtu: 1400, encrypted: false}
"""

RETURN = r"""
changes:
  description: What was changed, in words.
  returned: always
  type: list
lines:
  description: Notes for whoever runs this.
  returned: always
  type: list
"""


MTU = "com.docker.network.driver.mtu"
KEY_NEEDED = (
    "a manager whose Docker restarts is locked from now on; keep the key: llmdeploy ENV swarm unlock-key --store, "
    "or without --store to see it"
)


class Cluster:
    """The Swarm as its manager sees it."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params = module.params
        self.engine = Engine(timeout=20)
        self.end = time.monotonic() + self.params["deadline"]
        self.changes: list[str] = []
        self.lines: list[dict[str, str]] = []

    def run(self) -> dict[str, Any]:
        """Do all of it."""
        try:
            for host, wanted in self.params["nodes"].items():
                self.node(host, wanted)
            self.network()
            self.autolock()
        except EngineError as error:
            self.fail(f"the Swarm refused: {error}", "docker node ls, on this manager")
        return {"changed": bool(self.changes), "changes": self.changes, "lines": self.lines}

    def node(self, host: str, wanted: dict[str, Any]) -> None:
        """Role and labels of one node; somebody else may write at the same time, so each try reads it anew."""
        while True:
            node = self.ready(host, wanted["id"])
            spec, said = new_spec(host, node["Spec"], wanted)
            if not said:
                return
            try:
                self.engine.call("POST", f"/nodes/{node['ID']}/update?version={node['Version']['Index']}", spec)
            except EngineError as error:
                if "out of sequence" not in str(error) or time.monotonic() > self.end:
                    raise
                continue
            self.changes += said
            return

    def ready(self, host: str, ident: str) -> dict[str, Any]:
        """The node, once the Swarm knows that it is ready."""
        node = self.until(lambda: self._ready(ident))
        if node is None:
            hint = f"is Docker running on {host}, and are 2377/tcp, 7946/tcp+udp and 4789/udp open between the hosts?"
            self.fail(f"{host} (node {ident}) is not ready in the Swarm after {self.params['deadline']} s", hint)
        return node

    def _ready(self, ident: str) -> dict[str, Any] | None:
        node: dict[str, Any] | None = self.engine.get(f"/nodes/{ident}")
        return node if node and node["Status"]["State"] == "ready" else None

    def network(self) -> None:
        """The overlay network."""
        wanted = self.params["network"]
        found = network_facts(self.engine.get(f"/networks/{wanted['name']}"))
        if found:
            differences = network_differences(wanted, found)
            if differences:
                hint = f"set it so in the environment, or, while nothing uses it: docker network rm {wanted['name']}"
                self.fail(f"the network {wanted['name']} {'; '.join(differences)}", hint)
            return
        options = {MTU: str(wanted["mtu"])} if wanted.get("mtu") else {}
        if wanted.get("encrypted"):
            options["encrypted"] = "true"
        self.engine.call(
            "POST",
            "/networks/create",
            {
                "Name": wanted["name"],
                "Driver": "overlay",
                "CheckDuplicate": True,
                "Attachable": False,
                "Options": options,
                "IPAM": {"Config": [{"Subnet": wanted["subnet"]}] if wanted.get("subnet") else []},
                "Labels": {"llmdeploy.stack": self.params["stack"]},
            },
        )
        self.changes.append(f"network {wanted['name']} created")

    def autolock(self) -> None:
        """Whether managers need a key after a restart; somebody else may write at the same time."""
        wanted = self.params["autolock"]
        while True:
            swarm = self.engine.call("GET", "/swarm")  # holds the join tokens: it stays in here
            spec = swarm["Spec"]
            encryption = spec.get("EncryptionConfig") or {}
            if bool(encryption.get("AutoLockManagers")) == wanted:
                return
            spec["EncryptionConfig"] = {**encryption, "AutoLockManagers": wanted}
            try:
                self.engine.call("POST", f"/swarm/update?version={swarm['Version']['Index']}", spec)
            except EngineError as error:
                if "out of sequence" not in str(error) or time.monotonic() > self.end:
                    raise
                continue
            self.changes.append(f"managers are {'' if wanted else 'not '}locked after a restart")
            if wanted:
                self.lines.append({"kind": "note", "level": "warning", "text": KEY_NEEDED})
            return

    def until(self, probe: Callable[[], dict[str, Any] | None]) -> dict[str, Any] | None:
        """Ask until there is an answer or the deadline has passed."""
        while True:
            found = probe()
            if found is not None or time.monotonic() > self.end:
                return found
            time.sleep(0.2)

    def fail(self, message: str, hint: str) -> NoReturn:
        """End the module."""
        self.module.fail_json(msg=f"{message}\n→ {hint}", hint=hint, changes=self.changes)
        raise SystemExit(1)  # fail_json does not return


def new_spec(host: str, spec: dict[str, Any], wanted: dict[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """The specification as wanted, and in words what is new in it."""
    labels = new_labels(spec.get("Labels") or {}, wanted["groups"])
    role = "manager" if wanted["manager"] else spec["Role"]
    said = []
    if role != spec["Role"]:
        said.append(f"{host} is a manager now")
    if labels != (spec.get("Labels") or {}):
        said.append(f"labels of {host} set")
    return {**spec, "Labels": labels, "Role": role}, said


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "nodes": {"type": "dict", "required": True},
            "network": {"type": "dict", "required": True},
            "stack": {"type": "str", "required": True},
            "autolock": {"type": "bool", "default": False},
            "deadline": {"type": "int", "default": 60},
        }
    )
    module.exit_json(**Cluster(module).run())


if __name__ == "__main__":
    main()
