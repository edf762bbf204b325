"""Managers whose Swarm is locked: their states, the key that unlocks them, and giving it to them. Over SSH only.

The key goes from a manager to this process and on to another one through standard input and output: no command line,
no file and no log has it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.resources import files

from llmdeploy.cluster.access import Access
from llmdeploy.cluster.remote import on_all, run_script
from llmdeploy.engine.host import LOCKED, UNLOCK
from llmdeploy.errors import LlmdeployError, SwarmLockedError

PATIENCE = 20.0  # seconds for one look
TAKES = 40.0  # seconds until managers that were given the key are managers again: they have to find each other

_ASK = """
def ask(path):
    try:
        return {"found": Engine().call("GET", path)}
    except EngineError as error:
        return {"error": str(error)}
"""
_STATE = (
    _ASK
    + """
found = ask("/info")
swarm = _swarm((found.get("found") or {}).get("Swarm") or {})
print(json.dumps({"error": found.get("error", ""), "state": swarm["state"], "manager": swarm["manager"]}))
"""
)
_KEY = (
    _ASK
    + """
found = ask("/swarm/unlockkey")
print(json.dumps({"error": found.get("error", ""), "key": (found.get("found") or {}).get("UnlockKey", "")}))
"""
)
_UNLOCK = """
GOES_ON = ("Timeout was reached", "timed out", "not locked")  # it takes its time, or has been done

def unlock(key, seconds):
    end = time.monotonic() + seconds
    try:
        Engine().call("POST", "/swarm/unlock", {"UnlockKey": key}, timeout=seconds / 2)
    except EngineError as error:
        if not any(text in str(error) for text in GOES_ON):
            return str(error)
    while True:
        try:
            swarm = Engine().call("GET", "/info")["Swarm"]
        except EngineError as error:  # a node that starts lets wait
            swarm = {"LocalNodeState": "starting", "Error": str(error)}
        if swarm["LocalNodeState"] == "active" and swarm.get("ControlAvailable"):
            return ""
        if time.monotonic() > end:
            return "it is %s after %d s: %s" % (swarm["LocalNodeState"], seconds, swarm.get("Error", ""))
        time.sleep(0.2)

print(json.dumps({"error": unlock(KEY, SECONDS)}))
"""


def locked(host: str) -> SwarmLockedError:
    """What every verb says of a manager that is locked."""
    return SwarmLockedError(f"{host}: {LOCKED}", hint=UNLOCK)


def states(accesses: Sequence[Access]) -> dict[str, str | LlmdeployError]:
    """Host name → `locked`, `manager` (which is not locked) or another state of its Swarm, or why it does not tell."""

    def one(access: Access) -> str:
        found = _ask(access, _STATE)
        return "manager" if found["manager"] else found["state"]

    return on_all(accesses, one)


def key_of(access: Access) -> str:
    """The key that unlocks managers, as one that is unlocked tells it; empty where managers are never locked.

    Raises LlmdeployError.
    """
    return _ask(access, _KEY)["key"]


def unlock(accesses: Sequence[Access], key: str) -> dict[str, LlmdeployError | None]:
    """Unlocks managers, at once. Out: host name → why it is not unlocked, a wrong key for example; None where it is.

    The key is in no message.
    """
    text = f"KEY, SECONDS = {json.dumps(key)}, {TAKES:g}\n{_UNLOCK}"

    def one(access: Access) -> None:
        try:
            _ask(access, text, timeout=TAKES + PATIENCE)
        except LlmdeployError as error:
            error.message = error.message.replace(key, "***")
            raise

    return on_all(accesses, one)


def _ask(access: Access, script: str, timeout: float = PATIENCE) -> dict[str, str]:
    text = files("llmdeploy.engine").joinpath("host.py").read_text(encoding="utf-8") + script
    found: dict[str, str] = json.loads(run_script(access, text, timeout=timeout).strip().splitlines()[-1])
    if found["error"]:
        raise LlmdeployError(f"{access.host}: Docker says: {found['error']}")
    return found
