#!/usr/bin/python
"""Replace the configuration of the edge (HAProxy) without losing a request."""

from __future__ import annotations

import hashlib
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.engine.host import EDGE, SERVICE_LABEL, Engine, EngineError

DOCUMENTATION = r"""
---
module: llmdeploy_edge
short_description: Check, replace and reload the configuration of the edge
description:
  - Checks the new file with HAProxy itself, in the edge's own image. A refused file changes nothing.
  - Where the edge runs, it is told to reload, after the state of its servers was saved for the new process.
    When the reload fails, the old file comes back.
options:
  content:
    description: The text of haproxy.cfg.
    type: str
    required: true
  image:
    description: The image of the edge, as pinned.
    type: str
    required: true
  deadline:
    description: Seconds for the check, and for the reload.
    type: int
    default: 30
author:
  - llmdeploy
"""

EXAMPLES = r"""
- name: Replace the configuration of the edge
  llmdeploy_edge:
    content: "{{ lookup('ansible.builtin.file', 'haproxy.cfg', rstrip=false) }}"
    image: sha256:0123
"""

RETURN = r"""
sha256:
  description: Of the file that is in place.
  returned: success
  type: str
reloaded:
  description: Whether a running edge took it over.
  returned: success
  type: bool
warnings_of_haproxy:
  description: What HAProxy remarked about the file.
  returned: success
  type: list
"""

CONFIG, STATE, NEW = EDGE / "haproxy.cfg", EDGE / "state", EDGE / "new"
RUN = EDGE / "run"
STATS, MASTER = RUN / "haproxy.sock", RUN / "master.sock"
WORKER = re.compile(r"^(\d+)\s+worker\s", re.MULTILINE)


class EdgeError(Exception):
    """The new configuration is not in use; the text says why."""


def ask(path: Path, command: str, timeout: float = 5.0) -> str:
    """One question to HAProxy's command socket."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        connection.connect(str(path))
        connection.sendall(f"{command}\n".encode())
        parts = []
        try:
            while part := connection.recv(65536):
                parts.append(part)
        except (TimeoutError, socket.timeout, ConnectionResetError):  # noqa: UP041 (3.8: not the same)
            pass  # a master that reloads hangs up
    return b"".join(parts).decode("utf-8", "replace")


def check(image: str, deadline: float) -> list[str]:
    """Have HAProxy read the new file, in the folder where the edge sees it; its remarks."""
    command = ["docker", "run", "--rm", "--pull=never", "--network=none", "--user=root", "--entrypoint=haproxy"]
    command += [f"--volume={NEW}:/edge", image, "-c", "-f", "/edge/haproxy.cfg"]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=deadline,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        raise EdgeError(f"checking the new configuration did not end within {deadline:.0f} s") from None
    lines = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    if done.returncode != 0:
        said = "\n".join(lines[-20:])
        raise EdgeError(f"HAProxy refuses the new configuration; the old one stays in use:\n{said}")
    return [line for line in lines if "WARNING" in line]


def place(text: str) -> None:
    """Write the file so that a reader sees the old one or the new one."""
    new = CONFIG.with_suffix(".cfg.new")
    new.write_text(text)
    new.replace(CONFIG)


def running(engine: Engine) -> list[str]:
    """The containers of the edge on this host."""
    found = engine.call("GET", "/containers/json")
    return [one["Id"] for one in found if (one.get("Labels") or {}).get(SERVICE_LABEL) == EDGE.name]


def save_state() -> None:
    """Write down which server has which address, so that the new process starts with them."""
    state = ask(STATS, "show servers state")
    new = STATE.with_suffix(".new")
    new.write_text(state)
    new.replace(STATE)


def workers() -> set[str]:
    """The processes that serve, by number; those that only finish what they have do not count."""
    return set(WORKER.findall(ask(MASTER, "show proc").partition("# old workers")[0]))


def reload(engine: Engine, container: str, deadline: float) -> None:
    """Tell HAProxy to take the new file, and see a new process take over."""
    save_state()
    before = workers()
    engine.call("POST", f"/containers/{container}/kill?signal=SIGUSR2")
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        time.sleep(0.1)
        try:
            now = workers()
        except OSError:
            continue  # the master starts itself anew
        if now and not now & before:
            return
    log = subprocess.run(
        ["docker", "logs", "--tail", "15", container], capture_output=True, text=True, timeout=10, check=False
    )
    said = (log.stdout + log.stderr).strip()
    raise EdgeError(f"HAProxy did not take the new configuration over within {deadline:.0f} s; it said:\n{said}")


def replace(text: str, image: str, deadline: float) -> dict[str, Any]:
    """The whole of it."""
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    old = CONFIG.read_text() if CONFIG.exists() else None
    RUN.mkdir(mode=0o755, parents=True, exist_ok=True)
    STATE.touch()
    shutil.rmtree(NEW, ignore_errors=True)
    (NEW / "run").mkdir(parents=True)
    (NEW / "state").touch()
    (NEW / "haproxy.cfg").write_text(text)
    try:
        remarks = check(image, deadline)
    finally:
        shutil.rmtree(NEW, ignore_errors=True)
    engine = Engine()
    containers = running(engine)
    changed = old != text
    place(text)
    try:
        for container in containers:
            reload(engine, container, deadline)
    except (EdgeError, OSError, EngineError) as error:
        if old is not None:
            place(old)
        raise EdgeError(f"{error}\n→ the old file is back in place") from error
    return {
        "changed": changed,
        "sha256": sha256,
        "reloaded": bool(containers),
        "warnings_of_haproxy": remarks,
    }


def main() -> None:
    """Entry point."""
    module = AnsibleModule(
        argument_spec={
            "content": {"type": "str", "required": True, "no_log": True},  # not secret, but long
            "image": {"type": "str", "required": True},
            "deadline": {"type": "int", "default": 30},
        }
    )
    try:
        result = replace(module.params["content"], module.params["image"], module.params["deadline"])
    except (EdgeError, EngineError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
