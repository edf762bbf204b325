#!/usr/bin/python
"""Form a Docker Swarm, or join one."""

from __future__ import annotations

import socket
import time
from typing import Any, NoReturn

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.engine.host import Engine, EngineError

DOCUMENTATION = r"""
---
module: llmdeploy_swarm
short_description: Form a Docker Swarm, or join one
description:
  - O(state=formed) forms a Swarm on this host unless it manages one, and gives what other hosts need to join.
  - O(state=joined) makes this host join the Swarm O(cluster) unless it is in it. A host in another Swarm is refused.
  - The result holds the join tokens when O(tokens) is set, so register it under C(no_log).
options:
  state:
    description: What shall be.
    type: str
    choices: [formed, joined]
    required: true
  address:
    description: The address under which the other hosts reach this one.
    type: str
    required: true
  manager:
    description: C(HOST:PORT) of a manager of the Swarm to join.
    type: str
  token:
    description: The token to join with; it decides between manager and worker.
    type: str
  tokens:
    description: Whether to return the join tokens.
    type: bool
    default: false
  deadline:
    description: Seconds to wait for the node to be active.
    type: int
    default: 60
author:
  - llmdeploy
"""

EXAMPLES = r"""
- name: Form the Swarm
  llmdeploy_swarm:
    state: formed
    address: 10.0.0.4
"""

RETURN = r"""
cluster:
  description: The id of the Swarm.
  returned: when formed
  type: str
node:
  description: The id of this host in the Swarm.
  returned: always
  type: str
manager:
  description: C(HOST:PORT) to join at.
  returned: when formed
  type: str
tokens:
  description: Join tokens for C(manager) and C(worker).
  returned: when O(tokens)
  type: dict
"""


PORT = 2377
PORTS = "2377/tcp, 7946/tcp+udp and 4789/udp"


class Swarm:
    """This host's membership."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module = module
        self.params = module.params
        self.engine = Engine(timeout=30)

    def run(self) -> dict[str, Any]:
        """Form or join."""
        try:
            return self.formed() if self.params["state"] == "formed" else self.joined()
        except EngineError as error:
            self.fail(f"Docker refused: {error}", "look at Docker's log on this host")

    def formed(self) -> dict[str, Any]:
        """A Swarm that this host manages."""
        info = self.info()
        changed = False
        if info["LocalNodeState"] == "inactive":
            self.engine.call("POST", "/swarm/init", self._addresses())
            changed, info = True, self.wait()
        if not info.get("ControlAvailable"):
            self.fail("this host is in a Swarm that it does not manage", "docker swarm leave --force there, if it may")
        swarm = self.engine.call("GET", "/swarm")
        result = {
            "changed": changed,
            "cluster": swarm["ID"],
            "node": info["NodeID"],
            "manager": f"{info['NodeAddr']}:{PORT}",
        }
        if self.params["tokens"]:
            result["tokens"] = {kind.lower(): token for kind, token in swarm["JoinTokens"].items()}
        return result

    def joined(self) -> dict[str, Any]:
        """Membership in the Swarm of the given manager; which one it is was checked before."""
        info = self.info()
        if info["LocalNodeState"] == "active":
            return {"changed": False, "node": info["NodeID"]}
        self.reach()
        token, self.params["token"] = self.params["token"], ""
        try:
            self.engine.call(
                "POST",
                "/swarm/join",
                {**self._addresses(), "RemoteAddrs": [self.params["manager"]], "JoinToken": token},
            )
        except EngineError as error:
            if "Timeout was reached" not in str(error):  # it goes on in the background: wait() sees how it ends
                self.fail(f"joining the Swarm at {self.params['manager']} failed: {error}", f"are {PORTS} open?")
        return {"changed": True, "node": self.wait()["NodeID"]}

    def reach(self) -> None:
        """Try the manager's port first: Docker's own message comes after 20 s and names nothing."""
        host, _, port = self.params["manager"].rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=5).close()
        except OSError as error:
            hint = (
                f"open {PORTS} between the hosts; if the address is wrong, set llmdeploy_advertise_addr for it; if the "
                "manager sees this host under another address, name that in swarm.allow_from"
            )
            self.fail(f"cannot reach the manager at {self.params['manager']}: {error}", hint)

    def wait(self) -> dict[str, Any]:
        """This host's view of the Swarm, once it is active."""
        end = time.monotonic() + self.params["deadline"]
        while True:
            info = self.info()
            if info["LocalNodeState"] == "active":
                return info
            if time.monotonic() > end:
                state = f"{info['LocalNodeState']} {info.get('Error', '')}".strip()
                self.fail(f"not in the Swarm after {self.params['deadline']} s ({state})", f"are {PORTS} open?")
            time.sleep(0.2)

    def info(self) -> dict[str, Any]:
        """Docker's summary of it."""
        swarm: dict[str, Any] = self.engine.call("GET", "/info")["Swarm"]
        return swarm

    def _addresses(self) -> dict[str, str]:
        return {"ListenAddr": f"0.0.0.0:{PORT}", "AdvertiseAddr": self.params["address"]}

    def fail(self, message: str, hint: str) -> NoReturn:
        """End the module."""
        self.module.fail_json(msg=f"{message}\n→ {hint}", hint=hint)
        raise SystemExit(1)  # fail_json does not return


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["formed", "joined"], "required": True},
            "address": {"type": "str", "required": True},
            "manager": {"type": "str"},
            "token": {"type": "str", "no_log": True},
            "tokens": {"type": "bool", "default": False, "no_log": False},
            "deadline": {"type": "int", "default": 60},
        },
        required_if=[("state", "joined", ("manager", "token"))],
    )
    module.exit_json(**Swarm(module).run())


if __name__ == "__main__":
    main()
