"""The health probe as it is shipped, and built with the compiler's own checks."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="session")
def built_probe() -> Path:
    path = ROOT / "src/llmdeploy/_bin" / f"probe-{platform.machine()}"
    if not path.exists():  # an installed tree has it
        sys.path.insert(0, str(ROOT))
        pytest.importorskip("hatch_build").build_probes(ROOT)
    return path


@pytest.fixture(scope="session")
def checked_probe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same sources with the compiler's own checks, which end the program at the first wrong access."""
    if not shutil.which("gcc"):
        pytest.skip("needs gcc")
    path = tmp_path_factory.mktemp("probe") / "probe-checked"
    flags = ["-std=c11", "-g", "-Wall", "-Wextra", "-Werror", "-fsanitize=address,undefined"]
    sources = [str(source) for source in sorted((ROOT / "probe").glob("*.c"))]
    subprocess.run(["gcc", *flags, "-fno-sanitize-recover=all", "-o", path, *sources], check=True)
    return path
