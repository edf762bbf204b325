"""What a secret is called in the cluster."""

from __future__ import annotations

import hashlib


def swarm_name(stack: str, environment: str, name: str, value: str) -> str:
    """In: the stack, its environment, the part's name and its value. Out: a name for this very value.

    Another value gives another name, the same one the same: a secret in a cluster cannot be changed, and what has not
    changed need not be sent. At most 64 characters (20 + 30 + 12 and two dots), all of which Docker allows.
    """
    # The name stands in the cluster in clear. From a plain hash of a short password that could be had by trying out;
    # so this one is slow on purpose, and salted so that the same value elsewhere has another name.
    digest = hashlib.scrypt(
        value.encode(), salt=f"{environment}/{stack}/{name}".encode(), n=2**13, r=8, p=1, dklen=6
    ).hex()
    return f"{stack[:20]}.{name}.{digest}"
