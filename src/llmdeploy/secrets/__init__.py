"""Secrets: generated, kept in an encrypted file or another store, and checked before a host is given one."""

from llmdeploy.secrets.shelf import gather
from llmdeploy.secrets.swarm import swarm_name

__all__ = ["gather", "swarm_name"]
