"""A tiny project: a playbook, an inventory of this machine, and stand-ins for our modules."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llmdeploy.events import Event
from llmdeploy.run.environment import child_environment
from llmdeploy.run.outcome import RunOutcome
from llmdeploy.run.start import start

# Says what it is told to say; `crash` and `fail` end it in the two ways modules end.
SAY = """
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule(argument_spec={name: {"type": "raw"} for name in ("result", "fail", "crash")})
if module.params["crash"]:
    raise RuntimeError(module.params["crash"])
if module.params["fail"]:
    module.fail_json(msg=module.params["fail"], **(module.params["result"] or {}))
module.exit_json(**(module.params["result"] or {}))
"""
# Starts an engine that lives on its own: it writes a line every 0.2 s, ends by itself or when a file `stop` appears.
RELEASE = '''
import os, subprocess, sys, time
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule(argument_spec={"folder": {"type": "path"}, "lines": {"type": "int"}, "slow": {"type": "float"}})
ENGINE = """
import json, os, sys, time
folder, lines = sys.argv[1], int(sys.argv[2])
def say(**line):
    with open(folder + "/progress.jsonl", "a") as file:
        file.write(json.dumps({"t": time.time(), **line}) + chr(10))
say(kind="release", state="started", id="x", number=7, services=[])
for number in range(lines):
    if os.path.exists(folder + "/stop"):
        say(kind="end", verdict="stopped", exit=130, summary="stopped as asked")
        sys.exit()
    say(kind="service", name="a", state="starting", wave=1, healthy=0, wanted=1, elapsed=number)
    time.sleep(0.2)
say(kind="end", verdict="done", exit=0, summary="all done")
"""
time.sleep(module.params["slow"] or 0)
with open(os.devnull, "r+") as null:
    engine = [sys.executable, "-c", ENGINE, module.params["folder"], str(module.params["lines"])]
    subprocess.Popen(engine, stdin=null, stdout=null, stderr=null, start_new_session=True)
module.exit_json(changed=True)
'''
FOLLOW = """
import json, os, time
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule(argument_spec={"folder": {"type": "path"}})
folder = module.params["folder"]
seen = int(open(folder + "/seen").read()) if os.path.exists(folder + "/seen") else 0
lines = []
for attempt in range(20):
    if os.path.exists(folder + "/progress.jsonl"):
        lines = open(folder + "/progress.jsonl").read().splitlines()[seen:]
    if lines:
        break
    time.sleep(0.1)
open(folder + "/seen", "w").write(str(seen + len(lines)))
lines = [json.loads(line) for line in lines]
module.exit_json(lines=lines, done=any(line["kind"] == "end" for line in lines))
"""
MODULES = {"say": SAY, "llmdeploy_release": RELEASE, "llmdeploy_follow": FOLLOW}
FOLLOWING = [
    {"name": "Begin", "llmdeploy_release": {"folder": "{{ folder }}", "lines": "{{ lines }}", "slow": "{{ slow }}"}},
    {
        "name": "Follow", "llmdeploy_follow": {"folder": "{{ folder }}"}, "register": "r", "until": "r.done",
        "retries": 10000, "delay": 0,
    },
]  # fmt: skip


class Site:
    """Runs plays on this machine; `events` holds what came."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.events: list[Event] = []
        library = folder / "library"
        library.mkdir()
        for name, source in MODULES.items():
            (library / f"{name}.py").write_text(f"#!/usr/bin/python\n{source}")
        self.env = child_environment(os.environ, hosts=2, library=[library])

    def run(
        self,
        *plays: dict[str, Any],
        hosts: dict[str, Any] | None = None,
        on_event: Callable[[Event], None] = lambda _event: None,
        deadline: float = 60.0,
        **more: Any,
    ) -> RunOutcome:
        """Runs these plays; `hosts` are names with variables, connection local unless they say otherwise."""
        run_dir = self.folder / "run"
        run_dir.mkdir(mode=0o700)
        known = {name: {"ansible_connection": "local", **own} for name, own in (hosts or {"a": {}}).items()}
        inventory = self.folder / "hosts.json"
        inventory.write_text(json.dumps({"all": {"hosts": known, "vars": {"folder": str(self.folder)}}}))
        playbook = self.folder / "site.json"
        playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": False, **play} for play in plays]))

        def take(event: Event) -> None:
            self.events.append(event)
            on_event(event)

        return start(run_dir, playbook, inventory=inventory, env=self.env, on_event=take, deadline=deadline, **more)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """An empty project."""
    yield Site(tmp_path)
    (tmp_path / "stop").touch()  # an engine that is left over ends
