"""The images of every host that no kept release needs, read and not touched."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from llmdeploy.cluster.access import Access
from llmdeploy.cluster.remote import on_all, run_script
from llmdeploy.engine.host_prune import BROUGHT, superfluous
from llmdeploy.errors import LlmdeployError

PATIENCE = 20.0  # seconds; a host may have many images
_SCRIPT = """
def leftovers():
    try:
        images = Engine().call("GET", "/images/json")
        containers = Engine().call("GET", "/containers/json?all=1")
    except EngineError as error:
        return {{"error": str(error)}}
    return {{
        "images": [{{key: image.get(key) for key in ("Id", "RepoTags", "RepoDigests", "Size")}} for image in images],
        "containers": [{{"ImageID": container.get("ImageID", "")}} for container in containers],
        "brought": _read({record!r}).split(),
    }}

print(json.dumps(leftovers()))
"""


def leftovers(
    accesses: Sequence[Access], needed: Mapping[str, Any], timeout: float = PATIENCE
) -> dict[str, list[dict[str, Any]] | LlmdeployError]:
    """Host name → the images that may go, as `host_prune.superfluous` gives them, or why the host cannot be read."""
    text = files("llmdeploy.engine").joinpath("host.py").read_text(encoding="utf-8") + _SCRIPT.format(record=BROUGHT)

    def one(access: Access) -> list[dict[str, Any]]:
        found = json.loads(run_script(access, text, timeout=timeout).strip().splitlines()[-1])
        if "error" in found:
            raise LlmdeployError(f"{access.host}: Docker does not answer: {found['error']}")
        return superfluous(found["images"], found["containers"], needed, found["brought"])

    return on_all(accesses, one)
