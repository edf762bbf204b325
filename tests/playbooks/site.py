"""Runs site.yml as the command line would: variables rendered by hand, hosts of a lab, results as data."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from llmdeploy.render.images import archive_images
from tests.lab import Host

ROOT = Path(__file__).parents[2]
PLAYBOOKS = ROOT / "playbooks"
SOURCE = ROOT / "src"
PROBES = SOURCE / "llmdeploy" / "_bin"
REMOTE_ACTIONS = ("llmdeploy_", "ansible.builtin.copy")


@dataclass
class Run:
    """One run of a playbook: exit code, output, and a line for each task and host."""

    code: int
    output: str
    seconds: float
    lines: list[dict[str, Any]]

    def of(self, action: str, host: str | None = None) -> list[dict[str, Any]]:
        """The lines of one action, skipped ones left out."""
        return [
            line
            for line in self.lines
            if line["action"] == action and line["state"] != "skipped" and host in (None, line["host"])
        ]

    @property
    def changed(self) -> list[str]:
        """`host: task` of all that changed."""
        return [f"{line['host']}: {line['task']}" for line in self.lines if line["changed"]]

    @property
    def failures(self) -> str:
        """What failed tasks said."""
        return "\n".join(str(line["result"].get("msg", "")) for line in self.lines if line["state"] == "failed")

    def times(self) -> str:
        """A table of tasks: how many hosts, the longest time."""
        rows: dict[str, list[dict[str, Any]]] = {}
        for line in self.lines:
            if line["state"] != "skipped":
                rows.setdefault(f"{line['play']}: {line['task']}", []).append(line)
        table = [f"{max(one['seconds'] for one in row):7.2f} s {len(row):3} x  {name}" for name, row in rows.items()]
        return "\n".join([*table, f"{self.seconds:7.2f} s  in all, exit {self.code}"])


@dataclass
class Site:
    """A rendered run directory; `variables` and `hosts` may be changed between runs."""

    folder: Path
    variables: dict[str, Any]
    hosts: dict[str, dict[str, Any]]
    environment: dict[str, str] = field(default_factory=dict)

    def build(self, name: str, files: Mapping[str, str], hosts: Iterable[str], **more: Any) -> str:
        """Add an image that is built from these files; returns its reference."""
        data = BytesIO()
        with tarfile.open(fileobj=data, mode="w") as tar:
            for path, text in files.items():
                entry = tarfile.TarInfo(path)
                entry.size = len(text.encode())
                tar.addfile(entry, BytesIO(text.encode()))
        sha = hashlib.sha256(data.getvalue()).hexdigest()
        context = self.folder / f"{sha[:12]}.tar"
        context.write_bytes(data.getvalue())
        ref = f"llmdeploy-test/{name}:{sha[:12]}"
        image = {"kind": "build", "context": str(context), "context_sha": sha, "dockerfile": "Dockerfile", "args": {}}
        self.variables["llmdeploy_images"].append({"ref": ref, "hosts": list(hosts), **image, **more})
        return ref

    def archive(self, ref: str, path: Path, hosts: Iterable[str]) -> str:
        """Add an image that is in a file."""
        ident = archive_images(path)[ref]
        image = {"ref": ref, "kind": "archive", "archive": str(path), "id": ident, "hosts": list(hosts)}
        self.variables["llmdeploy_images"].append(image)
        return ref

    def edge(self, config: str, hosts: Iterable[str]) -> None:
        """Say which file the hosts of the edge shall have; the job puts it there."""
        sha256 = hashlib.sha256(config.encode()).hexdigest()
        self.variables["llmdeploy_edge"] = {"hosts": list(hosts), "sha256": sha256}

    def job(self, job: Mapping[str, Any]) -> None:
        """Give the release something to do."""
        path = self.folder / "job.json"
        path.write_text(json.dumps(job))
        self.variables["llmdeploy_job_file"] = str(path)

    def run(self, *arguments: str, playbook: Path = PLAYBOOKS / "site.yml", timeout: float = 900) -> Run:
        """Run the playbook to its end."""
        inventory = self.folder / "inventory"
        (inventory / "group_vars").mkdir(parents=True, exist_ok=True)
        (inventory / "hosts.json").write_text(json.dumps({"all": {"hosts": self.hosts}}))
        (inventory / "group_vars" / "all.json").write_text(json.dumps(self.variables))
        results = self.folder / "results.jsonl"
        results.write_text("")
        command = [ansible_playbook(), "-i", str(inventory / "hosts.json"), str(playbook), *arguments]
        began = time.monotonic()
        done = subprocess.run(
            command, env=self._environment(results), capture_output=True, text=True, timeout=timeout, cwd=self.folder
        )
        seconds = time.monotonic() - began
        lines = [json.loads(line) for line in results.read_text().splitlines()]
        return Run(done.returncode, done.stdout + done.stderr, seconds, lines)

    def _environment(self, results: Path) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith("ANSIBLE_")}
        control = Path("/tmp") / f"pb-{os.getpid()}"
        control.mkdir(mode=0o700, exist_ok=True)
        return {
            **kept,
            "PYTHONPATH": str(SOURCE),
            "ANSIBLE_LIBRARY": str(PLAYBOOKS / "library"),
            "ANSIBLE_MODULE_UTILS": str(self._module_utils()),
            "ANSIBLE_ROLES_PATH": str(PLAYBOOKS / "roles"),
            "ANSIBLE_PIPELINING": "True",
            "ANSIBLE_FORKS": "25",
            "ANSIBLE_TIMEOUT": "5",
            "ANSIBLE_GATHERING": "explicit",
            "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3",
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_DEPRECATION_WARNINGS": "False",
            "ANSIBLE_LOCALHOST_WARNING": "False",
            "ANSIBLE_SSH_CONTROL_PATH_DIR": str(control),
            "ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=60s",
            "ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callback_plugins"),
            "ANSIBLE_CALLBACKS_ENABLED": "collect",
            "COLLECT": str(results),
            **self.environment,
        }

    def _module_utils(self) -> Path:
        """A folder with the engine only: beside it, `llmdeploy.errors` would hide Ansible's own `errors`."""
        folder = self.folder / "module_utils"
        folder.mkdir(exist_ok=True)
        if not (folder / "engine").exists():
            (folder / "engine").symlink_to(SOURCE / "llmdeploy" / "engine")
        return folder


def ansible_playbook() -> str:
    """The command of the interpreter that runs the tests."""
    return str(Path(sys.executable).with_name("ansible-playbook"))


def render(folder: Path, hosts: Mapping[str, dict[str, Any]], **variables: Any) -> Site:
    """A site of these hosts, with one manager and nothing to run yet."""
    names = list(hosts)
    given = {
        "llmdeploy_stack": "llm",
        "llmdeploy_environment": "test",
        "llmdeploy_run_dir": str(folder),
        "llmdeploy_network": {"name": "llm-network", "encrypted": False, "mtu": None, "subnet": None},
        "llmdeploy_swarm": {"autolock": False, "allow_from": ["0.0.0.0/0"]},
        "llmdeploy_docker": {"install": True, "log_max_size": "10m", "log_max_file": 3},
        "llmdeploy_managers": names[:1],
        "llmdeploy_builder": names[0],
        "llmdeploy_job_file": "",
        "llmdeploy_images": [],
        "llmdeploy_edge": {"hosts": [], "sha256": ""},
        "llmdeploy_full": False,
        "llmdeploy_probe": {arch: str(PROBES / f"probe-{arch}") for arch in ("x86_64", "aarch64")},
        "llmdeploy_requirements": {"disk_mb": 512},
        **variables,
    }
    return Site(folder, given, {name: dict(host) for name, host in hosts.items()})


def lab_host(host: Host, user: str = "root", groups: Iterable[str] = (), **more: Any) -> dict[str, Any]:
    """The host variables of a lab's host."""
    options = host.keys.ssh_options()
    return {
        "ansible_host": host.ip,
        "ansible_user": user,
        "ansible_become": user != "root",
        "ansible_ssh_common_args": " ".join(options),
        "llmdeploy_ssh": ["ssh", *options, "-l", user, host.ip],
        "llmdeploy_groups": list(groups) or [host.name],
        "llmdeploy_ports": [],
        "llmdeploy_memory_mb": 64,
        "llmdeploy_fingerprint": "test-1",
        **more,
    }
