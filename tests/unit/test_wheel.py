"""The wheel: built, installed in an empty environment outside the checkout, and used there.

Its dependencies are taken from this environment through a path file (they are not what is tested, and a download
would need a network); llmdeploy itself comes from the wheel alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from llmdeploy import __version__

ROOT = Path(__file__).parents[2]
STRAYS = {
    "environments/zz-secret.local.yml": "token: s3cret\n",  # ignored by git
    "environments/zz.log": "s3cret\n",
    "playbooks/__pycache__/zz.pyc": "s3cret",
}


def run(*command: str | Path, cwd: Path, timeout: float = 100) -> str:
    """Runs a command without anything of the checkout in its environment; what it said."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "LLMDEPLOY", "VIRTUAL"))}
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env=clean, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone of what would be committed now, with files in it that must never be shipped."""
    folder = tmp_path_factory.mktemp("checkout")
    listed = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT)
    names = [name for name in listed.split("\0") if name and (ROOT / name).is_file()]
    probes = [str(path.relative_to(ROOT)) for path in (ROOT / "src/llmdeploy/_bin").iterdir() if path.is_file()]
    for name in [*names, *probes]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((ROOT / name).read_bytes())
        (folder / name).chmod((ROOT / name).stat().st_mode)
    for name, content in STRAYS.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)
    return folder


@pytest.fixture(scope="module")
def wheel(checkout: Path) -> Path:
    """The wheel, built with the real backend."""
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--skip-dependency-check", cwd=checkout)
    (made,) = (checkout / "dist").glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of a fresh environment that has the wheel."""
    folder = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder)
    run(
        sys.executable, "-m", "pip", "--python", folder / "bin" / "python", "install", "--quiet", "--no-deps",
        "--no-index", "--disable-pip-version-check", wheel, cwd=folder,
    )  # fmt: skip
    (site,) = folder.glob("lib/python*/site-packages")
    # At the end of the path: a plain line, so the editable install's own path file is not read.
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_what_is_in_the_wheel(wheel: Path) -> None:
    inside = set(names(wheel))
    for name in (
        "llmdeploy/cli/main.py",
        "llmdeploy/engine/run.py",
        "llmdeploy/render/haproxy.cfg.j2",
        "llmdeploy/_bin/probe-x86_64",
        "llmdeploy/_bin/probe-aarch64",
        "llmdeploy/_bin/SHA256SUMS",
        "llmdeploy/_data/playbooks/site.yml",
        "llmdeploy/_data/playbooks/library/llmdeploy_release.py",
        "llmdeploy/_data/playbooks/roles/release/meta/argument_specs.yml",
        "llmdeploy/_data/inventory/group_vars/all.yml",
        "llmdeploy/_data/inventory/production.ini",
        "llmdeploy/_data/environments/production.yml",
        "llmdeploy/_data/demo/Dockerfile",
        "llmdeploy/_data/demo/.dockerignore",
        "llmdeploy/_data/edge/Dockerfile",
    ):
        assert name in inside, name
    licenses = [name for name in inside if name.endswith("licenses/LICENSE")]
    assert licenses


def test_every_file_of_the_playbooks_is_in(wheel: Path, checkout: Path) -> None:
    inside = set(names(wheel))
    for folder in ("playbooks", "inventory", "environments", "demo", "edge"):
        listed = run("git", "ls-files", "--", folder, cwd=ROOT).split()
        assert not {f"llmdeploy/_data/{name}" for name in listed if (ROOT / name).exists()} - inside


def test_nothing_local_is_in_the_wheel(wheel: Path) -> None:
    inside = names(wheel)
    for part in (
        "zz",
        ".local.",
        "vault-password",
        "secrets.yml",
        "__pycache__",
        ".pyc",
        ".log",
        ".git",
        "ruff.toml",
        "tests/",
    ):
        assert not [name for name in inside if part in name], part
    with zipfile.ZipFile(wheel) as archive:
        for name in inside:
            content = archive.read(name)
            assert b"s3cret" not in content, name
            assert str(ROOT).encode() not in content, name


def test_it_works_where_there_is_no_checkout(installed: Path, tmp_path: Path) -> None:
    command = installed / "llmdeploy"
    assert run(command, "--version", cwd=tmp_path) == f"llmdeploy {__version__}\n"
    run(command, "init", "stack", cwd=tmp_path)
    made = {str(path.relative_to(tmp_path / "stack")) for path in (tmp_path / "stack").rglob("*") if path.is_file()}
    shipped = set(run("git", "ls-files", "--", "inventory", "environments", "demo", "edge", cwd=ROOT).split())
    assert made == {".gitignore", *(name for name in shipped if (ROOT / name).exists())}
    for name in ("dev", "staging", "production"):
        said = json.loads(run(command, name, "validate", "--json", cwd=tmp_path / "stack"))
        assert said["data"]["services"] == 10
    assert set(json.loads(run(command, "schema", cwd=tmp_path))) == {"catalogue", "environment"}


def test_it_is_the_wheel_that_ran(installed: Path, tmp_path: Path) -> None:
    """And its playbooks and probes are found in it."""
    program = (
        "from llmdeploy.project import resources; from llmdeploy.render.variables import probes; import llmdeploy;"
        "print(llmdeploy.__file__, resources(), *probes().values(), sep='\\n')"
    )
    for line in run(installed / "python", "-c", program, cwd=tmp_path).split():
        assert Path(line).is_relative_to(installed.parent), line
        assert Path(line).exists()
