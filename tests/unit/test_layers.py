"""The arrows between the rooms hold: the linter refuses foreign libraries, and no room reaches where it must not."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "llmdeploy"
ROOMS = sorted(path.name for path in PACKAGE.iterdir() if (path / "__init__.py").exists())
RUFF = Path(sys.executable).parent / "ruff"

OWNERS = {"typer": "cli", "ansible_runner": "run", "docker": "cluster", "rich": "view"}
MAY_USE = {
    "config": {"errors", "project"},
    "release": {"config", "engine", "errors"},
    "render": {"config", "release", "engine", "errors", "project"},
    "secrets": {"config", "errors", "project"},
    "monitoring": {"config", "engine", "errors", "release"},
    "tls": {"errors", "release", "secrets"},
    "run": {"errors", "events"},
    "cluster": {"config", "engine", "errors", "events", "release"},
    "view": {"errors", "events"},
    "engine": set(),
}


def lint(folder: Path, file: str, line: str) -> str:
    """What ruff says to `line` in `file` of a folder with our settings."""
    target = folder / file
    target.parent.mkdir(parents=True, exist_ok=True)
    own = ROOT / target.relative_to(folder).parent / "ruff.toml"
    if own.exists():
        shutil.copy(own, target.parent)
    target.write_text(f'"""A room."""\n\n{line}\n\n__all__ = ["thing"]\n')
    done = subprocess.run(
        [RUFF, "check", "--no-cache", "--output-format", "concise", "--select", "TID251", file],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    return done.stdout if done.returncode else ""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


@pytest.mark.parametrize("room", ROOMS)
def test_the_linter_refuses_foreign_libraries_in_every_room(copy: Path, room: str) -> None:
    said = lint(copy, f"src/llmdeploy/{room}/stray.py", "\n".join(f"from {library} import thing" for library in OWNERS))
    for library, owner in OWNERS.items():
        allowed = room == owner
        assert (f"`{library}` is banned: Only llmdeploy.{owner}" in said) is not allowed, f"{room} and {library}"


def test_the_linter_refuses_them_beside_the_rooms_too(copy: Path) -> None:
    for library in OWNERS:
        assert lint(copy, "src/llmdeploy/stray.py", f"import {library} as thing")
        assert lint(
            copy,
            "src/llmdeploy/stray.py",
            f"def make():\n    from {library} import thing\n    return thing\n\n\nthing = make",
        )


def imports(room: str) -> Iterator[tuple[str, str]]:
    """Every import of our own rooms in `room`: the file, and the room it reaches for."""
    for file in sorted((PACKAGE / room).rglob("*.py")):
        where = str(file.relative_to(PACKAGE))
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level > 1:
                yield where, "outside" if node.level > len(file.relative_to(PACKAGE).parts) - 1 else room
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and not node.level and node.module:
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            for name in names:
                parts = name.split(".")
                if parts[0] == "llmdeploy" and len(parts) > 1:
                    yield where, parts[1]


@pytest.mark.parametrize("room", sorted(MAY_USE))
def test_every_room_uses_only_what_lies_below_it(room: str) -> None:
    stray = {(file, used) for file, used in imports(room) if used not in {room, *MAY_USE[room]}}
    assert not stray


def test_every_room_has_its_arrows() -> None:
    assert {*MAY_USE, "cli"} == set(ROOMS)


def test_the_engine_needs_only_the_standard_library_and_dockers_own() -> None:
    """It runs on the managers' own Python, where there is nothing else."""
    foreign = set()
    for file in sorted((PACKAGE / "engine").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text(), feature_version=(3, 10))):
            if isinstance(node, ast.Import):
                foreign |= {(file.name, alias.name.split(".")[0]) for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                foreign.add((file.name, str(node.module).split(".")[0]))
    foreign = {(file, name) for file, name in foreign if name not in sys.stdlib_module_names}
    assert foreign <= {("api.py", "docker"), ("api.py", "requests")}


def at_import(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The imports that are carried out when a module is: not those in functions or for type checkers only."""
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
        elif isinstance(node, ast.If) and "TYPE_CHECKING" not in ast.unparse(node.test):
            yield from at_import([*node.body, *node.orelse])
        elif isinstance(node, ast.Try):
            yield from at_import([*node.body, *node.orelse, *node.finalbody])


def modules() -> dict[str, Path]:
    files = sorted(PACKAGE.rglob("*.py"))
    return {".".join(file.relative_to(PACKAGE.parent).with_suffix("").parts): file for file in files}


def needed(name: str, file: Path, known: Mapping[str, Path]) -> set[str]:
    """The modules of ours that `name` imports before it is complete."""
    package = name.split(".")[:-1]
    found: set[str] = set()
    for node in at_import(ast.parse(file.read_text()).body):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = [*package[: len(package) - node.level + 1]] if node.level else []
            origin = ".".join([*base, *([node.module] if node.module else [])])
            # From a package either a module of it, or a name that its own `__init__` has.
            found |= {
                one
                if (one := f"{origin}.{alias.name}") in known
                else origin
                if origin in known
                else f"{origin}.__init__"
                for alias in node.names
            }
    return found & set(known) - {name}


def test_each_module_can_be_the_first_to_be_imported() -> None:
    """No module imports one that, before it is complete, imports the first again."""
    known = modules()
    order = TopologicalSorter({name: needed(name, file, known) for name, file in known.items()}).static_order()
    assert set(order) == set(known), "a circle raises CycleError, which names it"


def test_each_module_can_be_imported() -> None:
    program = "import importlib, sys\nfor name in sys.argv[1:]:\n    importlib.import_module(name)\n"
    names = [name.removesuffix(".__init__") for name in modules()]
    done = subprocess.run(
        [sys.executable, "-W", "error::ImportWarning", "-c", program, *names],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr
