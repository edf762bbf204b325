#!/usr/bin/python
"""Restrict who may use published ports, and Swarm's own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.engine.host import ADDRESSED, FIREWALL, FIREWALL_NOTE, FORWARDED, SYSTEMD, firewall_rules

DOCUMENTATION = r"""
---
module: llmdeploy_firewall
short_description: Restrict who may use published ports, and Swarm's own
description:
  - Puts O(script) at C(/opt/llmdeploy/firewall), runs it, and has it run at each start of the host.
  - With systemd that is the unit C(llmdeploy-firewall), else an init script of that name.
  - Takes away the rules and all that is ours of it where O(script) is empty.
options:
  script:
    description: What puts the rules there (C(llmdeploy.engine.firewall)); empty for none.
    type: str
    required: true
  deadline:
    description: Seconds for all of it.
    type: int
    default: 60
author:
  - llmdeploy
"""

EXAMPLES = r"""
- name: Restrict who may use ports
  llmdeploy_firewall:
    script: "{{ llmdeploy_todo.firewall[inventory_hostname] }}"
"""

RETURN = r"""
notes:
  description: What somebody should know.
  returned: always
  type: list
"""

NAME = "llmdeploy-firewall"
UNIT = Path(f"/etc/systemd/system/{NAME}.service")
INIT = Path(f"/etc/init.d/{NAME}")
UNIT_TEXT = f"""\
[Unit]
Description=Who may use published ports (llmdeploy)
Before=docker.service
After=network-pre.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={FIREWALL}

[Install]
WantedBy=multi-user.target
"""
INIT_TEXT = f"""\
#!/bin/sh
### BEGIN INIT INFO
# Provides:          {NAME}
# Required-Start:    $local_fs
# Required-Stop:
# X-Start-Before:    docker
# Default-Start:     2 3 4 5
# Default-Stop:
# Short-Description: who may use published ports (llmdeploy)
### END INIT INFO
case "$1" in
    start | restart | force-reload) exec {FIREWALL} ;;
esac
"""


def main() -> None:
    """Entry point."""
    options = {"script": {"type": "str", "required": True}, "deadline": {"type": "int", "default": 60}}
    module = AnsibleModule(argument_spec=options)
    firewall = Firewall(module)
    if module.params["script"]:
        firewall.put()
    else:
        firewall.remove()
    module.exit_json(changed=True, notes=firewall.notes)


class Firewall:
    """The rules on this host, and their start with it."""

    def __init__(self, module: AnsibleModule) -> None:
        self._module = module
        self.notes: list[str] = []

    def put(self) -> None:
        """Put the script there, run it, and note which rules there are then."""
        write(FIREWALL, self._module.params["script"], 0o755)
        done = self._command(str(FIREWALL))
        if done.returncode:
            self._module.fail_json(
                msg=f"the use of ports cannot be restricted: {done.stderr.strip() or done.stdout.strip()}\n"
                "→ has the host iptables, and its kernel connection tracking? else leave out allow_from at ports, and "
                "set swarm.allow_from: [0.0.0.0/0]"
            )
        self._start_with_the_host()
        write(FIREWALL_NOTE, f"{firewall_rules()}\n", 0o600)

    def remove(self) -> None:
        """Take everything away, what starts it first."""
        if UNIT.exists():
            self._command("systemctl", "disable", NAME)
        if INIT.exists() and shutil.which("update-rc.d"):
            self._command("update-rc.d", "-f", NAME, "remove")
        for program in ("iptables", "ip6tables"):
            for parent, chain in (("DOCKER-USER", FORWARDED), ("INPUT", ADDRESSED)):
                for words in (["-D", parent, "-j", chain], ["-F", chain], ["-X", chain]):
                    self._command(program, "-w", "30", *words)
        for path in (UNIT, INIT, FIREWALL, FIREWALL_NOTE):
            path.unlink(missing_ok=True)

    def _start_with_the_host(self) -> None:
        if SYSTEMD.is_dir():
            write(UNIT, UNIT_TEXT, 0o644)
            self._command("systemctl", "daemon-reload")
            self._command("systemctl", "enable", NAME)
        elif INIT.parent.is_dir() and shutil.which("update-rc.d"):
            write(INIT, INIT_TEXT, 0o755)
            self._command("update-rc.d", NAME, "defaults")
        else:
            self.notes.append(f"this host has neither systemd nor init scripts: have {FIREWALL} run at its start")

    def _command(self, *argv: str) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(
                argv, capture_output=True, text=True, check=False, timeout=self._module.params["deadline"]
            )
        except OSError as error:
            return subprocess.CompletedProcess(argv, 127, "", str(error))


def write(path: Path, text: str, mode: int) -> None:
    """Put the file in its place in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f"{path.name}.new")
    new.touch(mode=mode)
    new.chmod(mode)
    new.write_text(text)
    new.replace(path)


if __name__ == "__main__":
    main()
