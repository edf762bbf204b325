"""`llmdeploy init`: a new project folder out of the examples that come with the package."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from llmdeploy.errors import LlmdeployError
from llmdeploy.project import resources

_FOLDERS = ("inventory", "environments", "demo", "edge")
_IGNORED = ".vault-password\nenvironments/*.local.yml\n"  # encrypted secrets files may be committed
_SKIPPED_SUFFIXES = (".pyc", ".local.yml", ".secrets.yml", ".log")  # of whoever works in a checkout


def init_project(target: Path) -> list[Path]:
    """Copy the examples into `target`, with a .gitignore, never over anything there; what was written, in order.

    Raises LlmdeployError when a file cannot be written.
    """
    source = resources()
    written = []
    try:
        for folder in _FOLDERS:
            for file in sorted((source / folder).rglob("*")):
                copy = target / file.relative_to(source)
                if _is_example(file, source) and not os.path.lexists(copy):
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(file, copy)
                    written.append(copy)
        ignore = target / ".gitignore"
        if not os.path.lexists(ignore):
            ignore.write_text(_IGNORED, encoding="utf-8")
            written.append(ignore)
    except OSError as error:
        raise LlmdeployError(f"cannot write the project: {error}") from error
    return written


def _is_example(file: Path, source: Path) -> bool:
    names = file.relative_to(source).parts
    hidden = any(name.startswith(".") and name != ".dockerignore" for name in names)
    return file.is_file() and not hidden and "__pycache__" not in names and not file.name.endswith(_SKIPPED_SUFFIXES)
