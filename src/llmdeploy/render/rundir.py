"""The run directory: fresh, private, in memory where the machine can, and gone after the run."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from llmdeploy import engine
from llmdeploy.config import Environment
from llmdeploy.render.files import file_texts
from llmdeploy.render.images import image_sources, write_contexts
from llmdeploy.render.variables import Reach, fingerprint, inventory, variables

_MEMORY = Path("/dev/shm")  # noqa: S108 (mkdtemp makes a private folder in it)
_PREFIX, _ALIVE = "llmd-", "alive"


@dataclass(frozen=True)
class RunDirectory:
    """Where the rendered files of one run lie."""

    path: Path
    inventory: Path
    variables: dict[str, Any]  # what the playbooks are given for all hosts
    hosts: dict[str, dict[str, Any]]  # each host's own variables
    secrets: tuple[str, ...] = ()  # what secrets are called in the cluster, those that this run places there
    configs: tuple[str, ...] = ()  # the same of configuration files

    @property
    def control(self) -> Path:
        """Folder of the shared ssh connections; short, because a socket's path is limited to about 100 characters."""
        return self.path / "cm"

    def write_job(self, job: Mapping[str, Any]) -> None:
        """Writes the job, again where the plan has added to it."""
        _write(self.path / "job.json", job)

    @property
    def module_utils(self) -> Path:
        """Folder with nothing but the engine: beside our other rooms, `errors` would hide Ansible's own."""
        return self.path / "module_utils"


@contextmanager
def run_directory() -> Iterator[Path]:
    """A new 0700 folder, on tmpfs where there is one; removed with all its content at the end.

    Those that commands have left which were killed go first: there may be secrets in them.
    """
    parent = _MEMORY if _MEMORY.is_dir() else Path(tempfile.gettempdir())
    _sweep(parent)
    path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    with (path / _ALIVE).open("w") as alive:
        fcntl.flock(alive, fcntl.LOCK_EX)
        (path / "cm").mkdir(mode=0o700)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)


def _sweep(parent: Path) -> None:
    """Removes our own folders whose command lives no more: nobody holds the lock of its file."""
    for path in parent.glob(f"{_PREFIX}*"):
        with suppress(OSError):  # somebody else's, or gone meanwhile
            if path.lstat().st_uid != os.geteuid():
                continue
            with (path / _ALIVE).open("rb") as alive:  # a new one may not have it yet, and stays
                fcntl.flock(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)


def render(
    env: Environment,
    path: Path,
    job: Mapping[str, Any],
    reach: Mapping[str, Reach],
    *,
    full: bool = False,
    services: Collection[str] | None = None,
    kept_pins: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
    more: Mapping[str, Any] | None = None,
) -> RunDirectory:
    """Writes inventory, variables, job and build folders into `path`.

    `services`: only their images are made and delivered; `kept_pins` are those of the others. `secrets` are those
    that services are given: their names in the cluster and their values, which only a file in `path` has. `more`:
    further variables for all hosts.
    """
    sources = image_sources(env, services)
    write_contexts(env, sources, path)
    config = (job.get("edge") or {}).get("config", "")  # a release of an older llmdeploy does not know it
    values = variables(env, path, sources, config, full=full)
    files = file_texts(env)
    values |= {
        "llmdeploy_kept_pins": kept_pins or {},
        "llmdeploy_secrets_file": _sealed(path / "secrets.json", secrets or {}),
        "llmdeploy_configs_file": _sealed(path / "configs.json", files),
        **(more or {}),
    }
    run = write_run(path, job, inventory(env, reach, fingerprint(env)), values)
    return replace(run, secrets=tuple(secrets or ()), configs=tuple(files))


def write_run(path: Path, job: Mapping[str, Any], hosts: Mapping[str, Any], values: dict[str, Any]) -> RunDirectory:
    """Writes what every playbook needs: the engine for the hosts, the job, `hosts` (an inventory) and variables."""
    (path / "module_utils").mkdir()
    (path / "module_utils" / "engine").symlink_to(Path(engine.__file__).parent)
    _write(path / "inventory" / "hosts.json", hosts)
    _write(path / "inventory" / "group_vars" / "all.json", values)
    run = RunDirectory(path, path / "inventory" / "hosts.json", values, hosts["all"]["hosts"])
    run.write_job(job)
    return run


def _sealed(file: Path, contents: Mapping[str, str]) -> str:
    """Writes what the one task places in the cluster, readable by nobody else. Out: the file, empty for nothing."""
    if not contents:
        return ""
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:  # noqa: PTH123
        json.dump(dict(contents), out)
    return str(file)


def _write(path: Path, data: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=1), encoding="utf-8")
