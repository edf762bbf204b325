"""Which stack an environment is, as its releases in the cluster tell."""

from __future__ import annotations

import re

from llmdeploy.cluster.history import entries
from llmdeploy.engine.api import Docker
from llmdeploy.errors import LlmdeployError


def stack_of(docker: Docker, environment: str, probable: str = "") -> str:
    """The stack whose releases are of `environment`; of several the one named `probable`.

    Raises LlmdeployError where there is none, or no telling which.
    """
    names = {found[1] for name in docker.ids()["configs"] if (found := re.fullmatch(r"(.+)\.release\.\d+", name))}
    stacks = sorted(
        name for name in names if any(one.labels.get("environment") == environment for one in entries(docker, name))
    )
    if not stacks:
        raise LlmdeployError(f"the cluster has no release of {environment}", hint=f"llmdeploy {environment} deploy")
    if len(stacks) > 1 and probable not in stacks:
        raise LlmdeployError(
            f"the cluster has several stacks of {environment}: {', '.join(stacks)}",
            hint="name one in the catalogue: stack: NAME",
        )
    return probable if probable in stacks else stacks[0]
