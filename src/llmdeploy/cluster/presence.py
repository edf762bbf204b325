"""A quick look at all hosts at once: which answer, which node of the cluster each is, which images it has."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files

from llmdeploy.cluster.access import Access
from llmdeploy.cluster.locked import locked
from llmdeploy.cluster.remote import on_all, run_script
from llmdeploy.engine.host import full_name
from llmdeploy.engine.host_images import is_id
from llmdeploy.errors import LlmdeployError

PATIENCE = 20.0  # seconds; a host that is down is told by ssh after 5, a manager that has lost its leader takes longer

_SCRIPT = """
def presence():
    try:
        swarm = _swarm(Engine().call("GET", "/info").get("Swarm") or {})
        images = Engine().call("GET", "/images/json")
    except EngineError as error:
        return {"error": str(error)}
    names = [name for image in images for name in [image["Id"], *(image.get("RepoDigests") or [])]]
    return {"locked": swarm["state"] == "locked", "node": swarm["node"], "manager": swarm["manager"], "images": names}

print(json.dumps(presence()))
"""


@dataclass(frozen=True)
class Presence:
    """What a host is in the cluster; `images` are the ids and digests of those that it has."""

    node: str
    manager: bool
    images: frozenset[str] = field(repr=False)

    def has(self, pin: str) -> bool:
        """Whether a service pinned to `pin` starts there without asking anybody for its image."""
        return (pin if is_id(pin) else full_name(pin)) in self.images


def presence(accesses: Sequence[Access], timeout: float = PATIENCE) -> dict[str, Presence | LlmdeployError]:
    """Host name → what was found, or why the host cannot be used."""
    text = files("llmdeploy.engine").joinpath("host.py").read_text(encoding="utf-8") + _SCRIPT

    def one(access: Access) -> Presence:
        found = json.loads(run_script(access, text, timeout=timeout).strip().splitlines()[-1])
        if "error" in found:
            raise LlmdeployError(f"{access.host}: Docker does not answer: {found['error']}")
        if found["locked"]:
            raise locked(access.host)
        images = frozenset(name if is_id(name) else full_name(name) for name in found["images"])
        return Presence(found["node"], found["manager"], images)

    return on_all(accesses, one)
