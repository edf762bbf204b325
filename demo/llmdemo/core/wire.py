"""What both ends of a gRPC call share: the library, the JSON messages, the codes."""

import json
import os
from typing import Any

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # our own lines say what is wrong, as JSON
import grpc  # type: ignore[import-untyped,import-not-found,unused-ignore]

__all__ = ["CODES", "dumps", "grpc"]

# 502 is not UNAVAILABLE: that code means that this very peer is away, and clients then try another replica.
CODES = {400: "INVALID_ARGUMENT", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 502: "UNKNOWN"}


def dumps(value: Any) -> bytes:
    """Write a message."""
    return json.dumps(value).encode()
