"""Bring to the builder what its images are made of, then make them there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase

from llmdeploy.engine.host_pipe import PipeError, Place, stream

LOAD = ("docker", "load")
LOADED = re.compile(r"^Loaded image(?: ID)?: (\S+)$", re.MULTILINE)


class ActionModule(ActionBase):
    """Arguments and result are those of the module llmdeploy_image, with paths on the machine that deploys."""

    _VALID_ARGS = frozenset({"images", "deadline"})

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send folders and archives, then run the module."""
        super().run(tmp, task_vars)
        task_vars = task_vars or {}
        self._folder = ""
        try:
            images = [self._send(dict(image), task_vars) for image in self._task.args["images"]]
            arguments = {**self._task.args, "images": images}
            result = self._execute_module("llmdeploy_image", module_args=arguments, task_vars=task_vars)
        except PipeError as error:
            raise AnsibleActionFail(str(error)) from None
        finally:
            if self._folder:
                self._remove_tmp_path(self._folder, force=True)
        return dict(result)

    def _send(self, image: dict[str, Any], task_vars: Mapping[str, Any]) -> dict[str, Any]:
        if image["kind"] == "build":
            image["context"] = self._copy(image["context"])
        elif image["kind"] == "archive":
            image["loaded"] = self._load(Path(image["archive"]), image["ref"], task_vars)
        elif image["kind"] == "local":
            source = (Place("this machine"), ("docker", "save", image["source"]))
            self._load(source, image["source"], task_vars)
            image["loaded"] = image["source"]
        return image

    def _copy(self, path: str) -> str:
        self._folder = self._folder or self._make_tmp_path()
        target = self._connection._shell.join_path(self._folder, Path(path).name)
        self._transfer_file(path, target)
        return str(target)

    def _load(self, source: Any, name: str, task_vars: Mapping[str, Any]) -> str:
        """Load into the builder's Docker; what of it is `name`, else what came first."""
        become = self._connection.become
        place = Place(
            task_vars["inventory_hostname"],
            tuple(task_vars["llmdeploy_ssh"]),
            become is not None,
            (become.get_option("become_pass") if become else "") or "",
        )
        if isinstance(source, tuple) and not place.ssh:
            return name  # the same Docker
        names = LOADED.findall(stream(source, (place, LOAD), float(self._task.args.get("deadline", 1200))))
        if not names:
            raise AnsibleActionFail(f"loading {name} on {place.name} gave no image")
        return name if name in names else names[0]
