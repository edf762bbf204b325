"""Ansible in our process without anybody's settings: an ansible.cfg may name plugins, which are programs."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def untouched() -> Iterator[None]:
    """For the first import of Ansible, which reads its settings then: no ansible.cfg, no ANSIBLE_*, no home."""
    saved = {name: value for name, value in os.environ.items() if name.startswith("ANSIBLE_")}
    with tempfile.TemporaryDirectory(prefix="llmdeploy-") as folder:
        config = Path(folder) / "ansible.cfg"
        config.touch()
        try:
            for name in saved:
                del os.environ[name]
            os.environ |= {"ANSIBLE_CONFIG": str(config), "ANSIBLE_LOCAL_TEMP": folder, "ANSIBLE_HOME": folder}
            yield
        finally:
            for name in ("ANSIBLE_CONFIG", "ANSIBLE_LOCAL_TEMP", "ANSIBLE_HOME"):
                del os.environ[name]
            os.environ |= saved
